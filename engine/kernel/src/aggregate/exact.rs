//! Exact sums of doubles.
//!
//! A sum is an expansion: doubles that do not overlap and whose exact sum is the value
//! (J. R. Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric
//! predicates", 1997). Two words hold nearly every sum of real data, and live in the cell. What
//! does not fit two words, or is not finite, moves into a fixed-point number wide enough for
//! every sum of doubles (as in R. M. Neal, "Fast exact summation using small and large
//! superaccumulators", 2015), kept aside. So a sum is free of order, never overflows on the way,
//! and what was added can be taken out again exactly. It is rounded once, half to even, when read.

use super::StateError;
use super::codec::{Reader, put_u64};

/// Above this magnitude the error terms of an addition could overflow.
const TWO_WORDS_MAX: f64 = 1.0e300;

/// Words of 64 bits: bits 2^-1074 to 2^1024 take 2098, then 63 for counts of rows and one sign.
const LIMBS: usize = 34;

/// A sum: two words, the larger of which is the sum rounded; or a number into [`Wides`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Exact {
    /// The rounded sum; NaN where the sum is kept aside, then `lo`'s bits are its number.
    hi: f64,
    lo: f64,
}

/// A fixed-point number, and counts of what is no number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wide {
    /// Two's complement, lowest first, in units of 2^-1074.
    limbs: [u64; LIMBS],
    infinite: i64,
    minus_infinite: i64,
    nan: i64,
}

/// The sums of a store that do not fit two words.
#[derive(Debug, Default)]
pub(crate) struct Wides {
    slots: Vec<Option<Box<Wide>>>,
    free: Vec<u32>,
}

/// The rounded sum of two doubles and its exact error (Knuth).
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}

impl Exact {
    /// Adds a value.
    #[inline]
    pub(crate) fn add(&mut self, x: f64, wides: &mut Wides) {
        let (q, low) = two_sum(x, self.lo);
        let (q, mid) = two_sum(q, self.hi);
        // Also false for NaN, infinities, and sums kept aside.
        if q.abs() < TWO_WORDS_MAX && low == 0.0 {
            (self.hi, self.lo) = (q, mid);
        } else {
            self.add_slow(x, wides);
        }
    }

    #[cold]
    fn add_slow(&mut self, x: f64, wides: &mut Wides) {
        if !self.hi.is_nan() && x.abs() < TWO_WORDS_MAX && self.hi.abs() < TWO_WORDS_MAX {
            let (q, low) = two_sum(x, self.lo);
            let (q, mid) = two_sum(q, self.hi);
            // Three terms that may fit two.
            let (mid, low) = two_sum(mid, low);
            let (q, mid) = two_sum(q, mid);
            let (mid, low) = two_sum(mid, low);
            if low == 0.0 && q.abs() < TWO_WORDS_MAX {
                (self.hi, self.lo) = two_sum(q, mid);
                return;
            }
        }
        self.widen(wides).add(x, 1);
    }

    /// Takes a value out that was added.
    #[inline]
    pub(crate) fn remove(&mut self, x: f64, wides: &mut Wides) {
        if x.is_finite() {
            self.add(-x, wides);
        } else {
            self.widen(wides).add(x, -1);
        }
    }

    /// Adds (`sign` 1) or takes out (`sign` -1) the values of another sum.
    pub(crate) fn merge(&mut self, from: Self, sign: i64, wides: &mut Wides) {
        if from.hi.is_nan() {
            if let Some(other) = wides.get(from).cloned() {
                self.widen(wides).merge(&other, sign);
            }
        } else if sign > 0 {
            self.add(from.hi, wides);
            self.add(from.lo, wides);
        } else {
            self.add(-from.hi, wides);
            self.add(-from.lo, wides);
        }
    }

    /// The sum, rounded to nearest, ties to even. Also moves a sum back into two words once it
    /// fits them.
    pub(crate) fn value(&mut self, wides: &mut Wides) -> f64 {
        if !self.hi.is_nan() {
            // Turns -0.0 into 0.0: the sign of a zero would depend on the order.
            return self.hi + 0.0;
        }
        let Some(wide) = wides.get(*self) else {
            return f64::NAN;
        };
        let value = wide.value();
        if let Some(narrow) = wide.narrow() {
            self.clear(wides);
            *self = narrow;
        }
        value
    }

    /// The sum, rounded, and what that leaves, rounded: exact where it fits two words.
    pub(crate) fn words(&mut self, wides: &mut Wides) -> (f64, f64) {
        let value = self.value(wides);
        match wides.get(*self) {
            None => (value, if self.hi.is_nan() { 0.0 } else { self.lo }),
            Some(_) if !value.is_finite() => (value, 0.0),
            Some(wide) => {
                let mut rest = wide.clone();
                rest.add(value, -1);
                (value, rest.finite())
            }
        }
    }

    /// Makes it the sum of no values.
    pub(crate) fn clear(&mut self, wides: &mut Wides) {
        if self.hi.is_nan() {
            wides.drop_slot(self.lo.to_bits());
        }
        *self = Self::default();
    }

    fn widen<'a>(&mut self, wides: &'a mut Wides) -> &'a mut Wide {
        if !self.hi.is_nan() {
            let mut wide = Box::new(Wide::zero());
            wide.add(self.hi, 1);
            wide.add(self.lo, 1);
            *self = wides.put(wide);
        }
        let slot = self.lo.to_bits() as usize;
        wides.slots[slot].get_or_insert_with(|| Box::new(Wide::zero()))
    }

    /// Appends the sum for a checkpoint.
    pub(crate) fn save(self, wides: &Wides, out: &mut Vec<u8>) {
        match wides.get(self) {
            None => {
                put_u64(out, self.hi.to_bits());
                put_u64(out, self.lo.to_bits());
            }
            Some(wide) => {
                put_u64(out, f64::NAN.to_bits());
                wide.limbs.iter().for_each(|limb| put_u64(out, *limb));
                for count in [wide.infinite, wide.minus_infinite, wide.nan] {
                    put_u64(out, count as u64);
                }
            }
        }
    }

    /// Reads what [`Exact::save`] wrote, as a new sum.
    pub(crate) fn load(reader: &mut Reader<'_>, wides: &mut Wides) -> Result<Self, StateError> {
        let hi = reader.f64()?;
        if !hi.is_nan() {
            let lo = reader.f64()?;
            if hi + lo != hi || hi.abs() > TWO_WORDS_MAX {
                return Err(StateError("a sum's words overlap".into()));
            }
            return Ok(Self { hi, lo });
        }
        let mut wide = Wide::zero();
        for limb in &mut wide.limbs {
            *limb = reader.u64()?;
        }
        wide.infinite = reader.i64()?;
        wide.minus_infinite = reader.i64()?;
        wide.nan = reader.i64()?;
        Ok(wides.put(Box::new(wide)))
    }
}

impl Wides {
    fn get(&self, sum: Exact) -> Option<&Wide> {
        if !sum.hi.is_nan() {
            return None;
        }
        self.slots.get(sum.lo.to_bits() as usize)?.as_deref()
    }

    fn put(&mut self, wide: Box<Wide>) -> Exact {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(wide);
                u64::from(slot)
            }
            None => {
                self.slots.push(Some(wide));
                (self.slots.len() - 1) as u64
            }
        };
        Exact {
            hi: f64::NAN,
            lo: f64::from_bits(slot),
        }
    }

    fn drop_slot(&mut self, slot: u64) {
        self.slots[slot as usize] = None;
        self.free.push(slot as u32);
    }

    /// Allocated bytes, estimated.
    pub(crate) fn state_bytes(&self) -> usize {
        let used = self.slots.len() - self.free.len();
        used * size_of::<Wide>() + self.slots.capacity() * size_of::<usize>()
    }
}

impl Wide {
    fn zero() -> Self {
        Self {
            limbs: [0; LIMBS],
            infinite: 0,
            minus_infinite: 0,
            nan: 0,
        }
    }

    /// Adds `x` (`sign` 1), or takes it out (`sign` -1).
    fn add(&mut self, x: f64, sign: i64) {
        if x.is_nan() {
            self.nan = self.nan.wrapping_add(sign);
        } else if x == f64::INFINITY {
            self.infinite = self.infinite.wrapping_add(sign);
        } else if x == f64::NEG_INFINITY {
            self.minus_infinite = self.minus_infinite.wrapping_add(sign);
        } else {
            let bits = x.to_bits();
            let exponent = ((bits >> 52) & 0x7ff) as usize;
            let fraction = bits & ((1 << 52) - 1);
            let mantissa = if exponent == 0 {
                fraction
            } else {
                fraction | (1 << 52)
            };
            let shift = exponent.max(1) - 1;
            let words = u128::from(mantissa) << (shift % 64);
            self.add_at(shift / 64, words, x.is_sign_negative() != (sign < 0));
        }
    }

    fn add_at(&mut self, limb: usize, words: u128, negative: bool) {
        let mut parts = [words as u64, (words >> 64) as u64].into_iter();
        let mut carry = false;
        for place in &mut self.limbs[limb..] {
            let part = parts.next();
            if part.is_none() && !carry {
                break;
            }
            let part = part.unwrap_or(0);
            (*place, carry) = if negative {
                place.borrowing_sub(part, carry)
            } else {
                place.carrying_add(part, carry)
            };
        }
    }

    fn merge(&mut self, other: &Self, sign: i64) {
        let mut carry = false;
        for (place, part) in self.limbs.iter_mut().zip(other.limbs) {
            (*place, carry) = if sign < 0 {
                place.borrowing_sub(part, carry)
            } else {
                place.carrying_add(part, carry)
            };
        }
        self.infinite = self
            .infinite
            .wrapping_add(other.infinite.wrapping_mul(sign));
        self.minus_infinite = self
            .minus_infinite
            .wrapping_add(other.minus_infinite.wrapping_mul(sign));
        self.nan = self.nan.wrapping_add(other.nan.wrapping_mul(sign));
    }

    fn value(&self) -> f64 {
        match (self.infinite > 0, self.minus_infinite > 0, self.nan > 0) {
            (_, _, true) | (true, true, _) => f64::NAN,
            (true, _, _) => f64::INFINITY,
            (_, true, _) => f64::NEG_INFINITY,
            _ => self.finite(),
        }
    }

    /// The finite part, rounded to nearest, ties to even.
    fn finite(&self) -> f64 {
        let negative = self.limbs[LIMBS - 1] >> 63 == 1;
        let mut limbs = self.limbs;
        if negative {
            let mut carry = true;
            for limb in &mut limbs {
                (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
            }
        }
        let Some(high) = limbs.iter().rposition(|limb| *limb != 0) else {
            return 0.0;
        };
        let top = high * 64 + 63 - limbs[high].leading_zeros() as usize;
        let bit = |at: usize| (limbs[at / 64] >> (at % 64)) & 1;
        let bits = if top < 53 {
            limbs[0]
        } else {
            let shift = top - 52;
            let (limb, within) = (shift / 64, shift % 64);
            let above = limbs.get(limb + 1).copied().unwrap_or(0);
            let pair = (u128::from(above) << 64) | u128::from(limbs[limb]);
            let mantissa = (pair >> within) as u64 & ((1 << 53) - 1);
            let half = shift - 1;
            let below = limbs[half / 64] & ((1 << (half % 64)) - 1) != 0
                || limbs[..half / 64].iter().any(|limb| *limb != 0);
            let up = bit(half) == 1 && (below || mantissa & 1 == 1);
            // A carry out of the mantissa raises the exponent, as it should.
            let bits = ((shift as u64 + 1) << 52) + (mantissa - (1 << 52)) + u64::from(up);
            bits.min(f64::INFINITY.to_bits())
        };
        let value = f64::from_bits(bits);
        if negative { -value } else { value }
    }

    /// The same sum in two words, if it fits.
    fn narrow(&self) -> Option<Exact> {
        if (self.infinite, self.minus_infinite, self.nan) != (0, 0, 0) {
            return None;
        }
        let hi = self.finite();
        if hi.abs() >= TWO_WORDS_MAX {
            return None;
        }
        let mut rest = self.clone();
        rest.add(hi, -1);
        let lo = rest.finite();
        rest.add(lo, -1);
        rest.limbs
            .iter()
            .all(|limb| *limb == 0)
            .then_some(Exact { hi, lo })
    }
}
