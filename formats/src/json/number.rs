//! Numbers: JSON's grammar, and exact values.
//!
//! A double is what `str::parse::<f64>` makes of the text, bit for bit. Most need no more than
//! one division: where the digits fit 53 bits and the power of ten is at most 22 both are exact
//! doubles, so IEEE's one rounding is the right one (Clinger, "How to read floating point numbers
//! accurately", PLDI 1990). The others go to the standard library.

/// Powers of ten that are exact doubles.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Exponents beyond this are cut to it: no type here holds such a number either way.
const EXPONENT_MAX: i64 = 100_000;

/// The length of the JSON number that `bytes` begins with; `None` where it begins with none.
#[inline]
pub(crate) fn scan(bytes: &[u8]) -> Option<usize> {
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let whole = digits(bytes, at);
    if whole == at || (whole > at + 1 && bytes.get(at) == Some(&b'0')) {
        return None;
    }
    at = whole;
    if bytes.get(at) == Some(&b'.') {
        let end = digits(bytes, at + 1);
        if end == at + 1 {
            return None;
        }
        at = end;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let end = digits(bytes, at + 1 + sign);
        if end == at + 1 + sign {
            return None;
        }
        at = end;
    }
    Some(at)
}

#[inline(always)]
fn digits(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The double that a number's text stands for; infinite where it is too large, `None` where the
/// text is no number. `NaN` and `inf` read as Rust reads them.
#[inline]
pub(crate) fn double(text: &[u8]) -> Option<f64> {
    if let Some((negative, mantissa, power)) = short(text)
        && mantissa < 1 << 53
    {
        let exact = POWERS.get(power).map(|power| mantissa as f64 / power);
        if let Some(value) = exact {
            return Some(if negative { -value } else { value });
        }
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The nearest single-precision number, as `str::parse::<f32>` reads it.
pub(crate) fn single(text: &[u8]) -> Option<f32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Sign, digits and how many of them stand behind the point, of a number without exponent that
/// has 1 to 18 digits.
#[inline(always)]
fn short(text: &[u8]) -> Option<(bool, u64, usize)> {
    let (negative, rest) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    if rest.is_empty() || rest.len() > 19 {
        return None;
    }
    let mut mantissa: u64 = 0;
    let mut point = None;
    for (at, byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let count = rest.len() - usize::from(point.is_some());
    if count == 0 || count > 18 {
        return None;
    }
    Some((
        negative,
        mantissa,
        point.map_or(0, |at| rest.len() - 1 - at),
    ))
}

/// A whole number; `1.0` and `1e3` are whole too. `None` where it is not, or does not fit.
#[inline]
pub(crate) fn whole(text: &[u8]) -> Option<i128> {
    if let Some((negative, mantissa, 0)) = short(text) {
        let value = i128::from(mantissa);
        return Some(if negative { -value } else { value });
    }
    match scaled(text, 0)? {
        (value, true) => Some(value),
        (_, false) => None,
    }
}

/// The number times 10^`scale`, rounded half away from zero, and whether that is exact. `None`
/// where the text is no number or the result does not fit.
pub(crate) fn scaled(text: &[u8], scale: i8) -> Option<(i128, bool)> {
    let (negative, body) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let e = body
        .iter()
        .position(|byte| matches!(byte, b'e' | b'E'))
        .unwrap_or(body.len());
    let exponent = match body.get(e + 1..) {
        Some(text) => exponent(text)?,
        None if e < body.len() => return None,
        None => 0,
    };
    let body = body.get(..e)?;
    let point = body
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(body.len());
    let figures = || body.iter().filter(|byte| **byte != b'.');
    let figure_count = figures().count();
    let one_point_at_most = body.len() <= figure_count + 1;
    if figure_count == 0 || !one_point_at_most || !figures().all(u8::is_ascii_digit) {
        return None;
    }
    // How many of the digits stand before the point of the scaled number.
    let kept = point as i64 + exponent + i64::from(scale);
    let mut value: u128 = 0;
    let mut exact = true;
    let mut round_up = false;
    let mut count = 0;
    for (at, byte) in figures().enumerate() {
        let digit = u128::from(byte - b'0');
        count = at as i64 + 1;
        if (at as i64) < kept {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else {
            exact &= digit == 0;
            if at as i64 == kept {
                round_up = digit >= 5;
            }
        }
    }
    if value != 0 {
        for _ in count..kept {
            value = value.checked_mul(10)?;
        }
    }
    let value = i128::try_from(value.checked_add(u128::from(round_up))?).ok()?;
    Some((if negative { -value } else { value }, exact))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(byte - b'0')).min(EXPONENT_MAX);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<f64>()
                .prop_filter("finite", |x| x.is_finite())
                .prop_map(|x| format!("{x}")),
            any::<f64>()
                .prop_filter("finite", |x| x.is_finite())
                .prop_map(|x| format!("{x:e}")),
            any::<i64>().prop_map(|x| x.to_string()),
            "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,4})?",
            "(0|[1-9][0-9]{0,5})\\.[0-9]{1,3}",
        ]
    }

    proptest! {
        #[test]
        fn doubles_are_those_of_the_standard_library(text in number()) {
            let want: f64 = text.parse().unwrap();
            prop_assert_eq!(double(text.as_bytes()).unwrap().to_bits(), want.to_bits());
            prop_assert_eq!(scan(text.as_bytes()), Some(text.len()));
        }

        #[test]
        fn scanning_agrees_with_serde_json(text in "[-+0-9.eE]{1,8}") {
            let ours = scan(text.as_bytes()) == Some(text.len());
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            // What overflows a double is a number by the grammar, an error to serde_json.
            let overflows = text.parse::<f64>().is_ok_and(f64::is_infinite);
            prop_assert!(ours == theirs || (ours && overflows), "{}", text);
        }

        #[test]
        fn whole_numbers_are_exact(value in any::<i64>(), zeros in 0usize..4) {
            let plain = value.to_string();
            prop_assert_eq!(whole(plain.as_bytes()), Some(i128::from(value)));
            let point = format!("{plain}.0{}", "0".repeat(zeros));
            prop_assert_eq!(whole(point.as_bytes()), Some(i128::from(value)));
            let moved = format!("{plain}{}e-{zeros}", "0".repeat(zeros));
            prop_assert_eq!(whole(moved.as_bytes()), Some(i128::from(value)));
            let half = format!("{plain}.5");
            prop_assert_eq!(whole(half.as_bytes()), None);
        }

        #[test]
        fn decimals_round_half_away_from_zero(value in -1_000_000_000i64..1_000_000_000) {
            // `value` thousandths at a scale of 2.
            let sign = if value < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:03}", value.abs() / 1000, value.abs() % 1000);
            let want = (value.abs() + 5) / 10 * value.signum();
            let (got, exact) = scaled(text.as_bytes(), 2).unwrap();
            prop_assert_eq!((got, exact), (i128::from(want), value % 10 == 0));
        }
    }

    #[test]
    fn extremes_neither_panic_nor_lie() {
        for text in [
            "", "-", ".", "-.", "1e", "1e+", "e5", "1.2.3", "1..2", "+", "1e5.5",
        ] {
            assert_eq!(scaled(text.as_bytes(), 2), None, "{text}");
            assert_eq!(whole(text.as_bytes()), None, "{text}");
            assert_eq!(double(text.as_bytes()), None, "{text}");
        }
        assert_eq!(whole(b"1e999999999999999999999"), None);
        assert_eq!(whole(b"1e-999999999999999999999"), None);
        assert_eq!(whole(b"0e999999999999999999999"), Some(0));
        assert_eq!(scaled(b"1e-400", 10), Some((0, false)));
        assert_eq!(scaled(b"0.5", 0), Some((1, false)));
        assert_eq!(scaled(b"-0.05", 1), Some((-1, false)));
        assert_eq!(
            whole(b"170141183460469231731687303715884105727"),
            Some(i128::MAX)
        );
        assert_eq!(whole(b"170141183460469231731687303715884105728"), None);
        assert_eq!(double(b"1e999"), Some(f64::INFINITY));
    }
}
