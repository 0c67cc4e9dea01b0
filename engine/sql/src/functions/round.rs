//! ROUND_HALF_EVEN: decimal rounding on a double's exact value.
//!
//! A double is a binary fraction, so its decimal expansion ends: 2.675 is really
//! 2.67499999999999982236431605997495353221893310546875 and rounds to 2.67, while 0.125 is exactly
//! a half and goes to the even 0.12. Rounding by multiplying with a power of ten gets such cases
//! wrong, since the product is rounded already. Here the exact expansion is rounded as digits.

use super::scalar::{Function, Kind, double_at, integer_at, rows_of};
use arrow::array::Float64Array;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

/// The most decimals that a double has: of the smallest subnormal, 2^-1074.
const MAX_DECIMALS: usize = 1074;

/// The most digits before the point.
const MAX_DIGITS: usize = 309;

/// From here on every double is a whole number.
const WHOLE: f64 = 4_503_599_627_370_496.0;

/// ROUND_HALF_EVEN(x[, decimals]).
pub(super) fn function() -> ScalarUDF {
    let kinds = [Kind::Double, Kind::Integer];
    Function::new("round_half_even", &kinds, 1, DataType::Float64, |args| {
        let rounded = (0..rows_of(args)).map(|row| {
            let decimals = args
                .get(1)
                .map_or(Some(0), |decimals| integer_at(decimals, row))?;
            Some(round_half_even(double_at(&args[0], row)?, decimals))
        });
        Arc::new(rounded.collect::<Float64Array>())
    })
    .udf()
}

/// The double nearest to `x` rounded to `decimals` decimals, halves to even; negative decimals
/// round before the point. NaN and infinities stay.
#[must_use]
pub fn round_half_even(x: f64, decimals: i64) -> f64 {
    if !x.is_finite() || x == 0.0 || (decimals >= 0 && x.abs() >= WHOLE) {
        return x;
    }
    let places = usize::try_from(decimals.unsigned_abs()).unwrap_or(usize::MAX);
    if decimals >= 0 && places >= MAX_DECIMALS {
        return x;
    }
    if decimals < 0 && places > MAX_DIGITS {
        return 0.0_f64.copysign(x);
    }
    let exact = format!("{:.MAX_DECIMALS$}", x.abs());
    let point = exact.len() - MAX_DECIMALS - 1;
    let digits: Vec<u8> = exact
        .bytes()
        .filter(|byte| *byte != b'.')
        .map(|b| b - b'0')
        .collect();
    let keep = if decimals >= 0 {
        Some(point + places)
    } else {
        point.checked_sub(places)
    };
    let Some(keep) = keep else {
        return 0.0_f64.copysign(x);
    };
    let rounded = round_digits(&digits, keep);
    // As many digits before the point as there were, and one for the carry.
    let mut text: String = rounded
        .iter()
        .map(|digit| char::from(b'0' + digit))
        .collect();
    text.push_str(&format!("e{}", point as i64 - keep as i64));
    text.parse::<f64>().map_or(x, |value| value.copysign(x))
}

/// The first `keep` digits of a number, rounded by those behind, with one more in front.
fn round_digits(digits: &[u8], keep: usize) -> Vec<u8> {
    let mut out = vec![0];
    out.extend_from_slice(&digits[..keep]);
    let Some((&next, rest)) = digits[keep..].split_first() else {
        return out;
    };
    let is_odd = out.last().is_some_and(|last| last % 2 == 1);
    let beyond_half = next > 5 || (next == 5 && rest.iter().any(|digit| *digit > 0));
    if beyond_half || (next == 5 && is_odd) {
        for digit in out.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                break;
            }
            *digit = 0;
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::scalar::call;
    use super::*;
    use datafusion::common::ScalarValue;
    use proptest::prelude::*;

    #[test]
    fn halves_are_those_of_the_exact_value() {
        for (x, decimals, want) in [
            (2.675, 2, 2.67),
            (0.125, 2, 0.12),
            (0.375, 2, 0.38),
            (1.005, 2, 1.0),
            (0.5, 0, 0.0),
            (1.5, 0, 2.0),
            (2.5, 0, 2.0),
            (-2.5, 0, -2.0),
            (-0.125, 2, -0.12),
            (99.995, 2, 100.0),
            (999.9999, 2, 1000.0),
            (9.999, 0, 10.0),
            (25.0, -1, 20.0),
            (25.000_000_1, -1, 30.0),
            (35.0, -1, 40.0),
            (7.0, -1, 10.0),
            (7.0, -2, 0.0),
            (5e-324, 3, 0.0),
            (1e300, 2, 1e300),
            (1.0e17, -17, 1.0e17),
            (0.1, 400, 0.1),
            (12.5, i64::MAX, 12.5),
            (12.5, i64::MIN, 0.0),
        ] {
            let got = round_half_even(x, decimals);
            assert_eq!(got, want, "{x} to {decimals}");
            assert_eq!(got.is_sign_negative(), x < 0.0);
        }
        assert!(round_half_even(f64::NAN, 2).is_nan());
        assert_eq!(round_half_even(f64::INFINITY, 2), f64::INFINITY);
    }

    #[test]
    fn null_stays_null_and_text_is_refused() {
        let two = ScalarValue::Int64(Some(2));
        let null = call(&function(), &[ScalarValue::Float64(None), two.clone()]).unwrap();
        assert!(null.is_null());
        let whole = call(&function(), &[ScalarValue::Int32(Some(3)), two.clone()]).unwrap();
        assert_eq!(whole, ScalarValue::Float64(Some(3.0)));
        let error = call(&function(), &[ScalarValue::from("1"), two])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ROUND_HALF_EVEN(DOUBLE[, BIGINT])"),
            "{error}"
        );
    }

    proptest! {
        /// Doubles with few binary places, so that halves are common, in exact integers.
        #[test]
        fn agrees_with_exact_integers(scaled in -(1_i64 << 40)..(1_i64 << 40), decimals in 0..4_u32) {
            // x = scaled / 2^10, so x * 10^d * 2^10 is whole.
            let x = scaled as f64 / 1024.0;
            let product = i128::from(scaled) * 10_i128.pow(decimals);
            let (whole, rest) = (product.div_euclid(1024), product.rem_euclid(1024));
            let up = rest > 512 || (rest == 512 && whole % 2 != 0);
            let nearest = whole + i128::from(up);
            let want: f64 = format!("{nearest}e-{decimals}").parse().unwrap();
            prop_assert_eq!(round_half_even(x, i64::from(decimals)), want);
        }

        #[test]
        fn a_rounded_value_is_rounded(x in any::<f64>(), decimals in -5..20_i64) {
            let once = round_half_even(x, decimals);
            prop_assert!(once.is_nan() || round_half_even(once, decimals) == once
                || (once - x).abs() <= x.abs() * 1e-15, "{} {}", x, once);
        }
    }
}
