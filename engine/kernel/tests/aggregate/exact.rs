//! Sums of doubles in plain long arithmetic, by another way than the engine's.

use std::cmp::Ordering;

/// Limbs of 16 bits from 2^-1080 on, each a signed number, not normalised until compared.
#[derive(Clone)]
struct Long(Vec<i64>);

const LIMBS: usize = 150;
const LOWEST: i32 = -1088;

impl Long {
    fn add(&mut self, x: f64, times: i64) {
        let mut x = x;
        let mut exponent = 0;
        // An odd integer times a power of two, by exact steps.
        while x != 0.0 && (x.fract() != 0.0 || x.abs() < 1.0) {
            x *= 2.0;
            exponent -= 1;
        }
        while x.abs() >= 9_007_199_254_740_992.0 {
            x /= 2.0;
            exponent += 1;
        }
        let at = exponent - LOWEST;
        let (limb, bits) = ((at / 16) as usize, at % 16);
        let mut rest = (x as i128 * i128::from(times)) << bits;
        let negative = rest < 0;
        rest = rest.abs();
        for place in &mut self.0[limb..] {
            let part = (rest & 0xffff) as i64;
            *place += if negative { -part } else { part };
            rest >>= 16;
        }
        assert_eq!(rest, 0);
    }

    fn sign(&self) -> Ordering {
        let mut limbs = self.0.clone();
        for at in 0..LIMBS - 1 {
            let carry = limbs[at].div_euclid(1 << 16);
            limbs[at] -= carry << 16;
            limbs[at + 1] += carry;
        }
        match limbs[LIMBS - 1].cmp(&0) {
            Ordering::Equal if limbs.iter().any(|limb| *limb != 0) => Ordering::Greater,
            other => other,
        }
    }
}

fn next(x: f64, up: bool) -> f64 {
    if up { x.next_up() } else { x.next_down() }
}

/// The exact sum, rounded to nearest, ties to even.
///
/// Found by halving: the doubles order as integers do, and each is held against the exact sum.
pub fn round_sum(xs: &[f64]) -> f64 {
    if xs.iter().any(|x| !x.is_finite()) {
        return xs.iter().sum();
    }
    let mut exact = Long(vec![0; LIMBS]);
    xs.iter().for_each(|x| exact.add(*x, 2));
    // The sign of twice the exact sum less a + b.
    let against = |a: f64, b: f64| {
        let mut rest = exact.clone();
        rest.add(a, -1);
        rest.add(b, -1);
        rest.sign()
    };
    let negative = match against(0.0, 0.0) {
        Ordering::Equal => return 0.0,
        sign => sign == Ordering::Less,
    };
    let outside = if negative {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    // The magnitude's bits: low's double is not beyond the sum, high's is.
    let (mut low, mut high) = (0u64, f64::INFINITY.to_bits());
    let double = |bits: u64| f64::from_bits(bits | (u64::from(negative) << 63));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let value = double(middle);
        if against(value, value) == outside || against(value, value) == Ordering::Equal {
            low = middle;
        } else {
            high = middle;
        }
    }
    let value = double(low);
    let beyond = next(value, !negative);
    if beyond.is_infinite() {
        // Rounds to infinity from half a step above the largest double on.
        let half = (value - next(value, negative)) / 2.0;
        let mut rest = exact.clone();
        rest.add(value, -2);
        rest.add(half, -2);
        return if rest.sign() == outside || rest.sign() == Ordering::Equal {
            beyond
        } else {
            value
        };
    }
    match against(value, beyond) {
        Ordering::Equal if low & 1 == 0 => value,
        Ordering::Equal => beyond,
        sign if sign == outside => beyond,
        _ => value,
    }
}
