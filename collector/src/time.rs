//! Times: milliseconds since the epoch, UTC, and their texts.

/// The first millisecond of the year 0.
pub const FIRST: i64 = -62_167_219_200_000;
/// The last millisecond of the year 9999.
pub const LAST: i64 = 253_402_300_799_999;

const DAY: i64 = 86_400_000;

/// Reads milliseconds since the epoch; `None` where it is no whole number, or outside the years 0
/// to 9999.
#[must_use]
pub fn parse_millis(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = text.parse().ok()?;
    (FIRST..=LAST).contains(&millis).then_some(millis)
}

/// Year, month and day of a day's number since the epoch. Source: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * month + 2) / 5 + 1) as u32;
    let month = if month < 10 { month + 3 } else { month - 9 } as u32;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn digits(out: &mut Vec<u8>, number: i64, count: u32) {
    for place in (0..count).rev() {
        out.push(b'0' + (number / 10_i64.pow(place) % 10) as u8);
    }
}

/// Date, `between`, time to the second, and the milliseconds that are left.
fn write(out: &mut Vec<u8>, millis: i64, between: u8) -> i64 {
    let millis = millis.clamp(FIRST, LAST);
    let (year, month, day) = civil(millis.div_euclid(DAY));
    let of_day = millis.rem_euclid(DAY);
    digits(out, year, 4);
    out.push(b'-');
    digits(out, i64::from(month), 2);
    out.push(b'-');
    digits(out, i64::from(day), 2);
    out.push(between);
    digits(out, of_day / 3_600_000, 2);
    out.push(b':');
    digits(out, of_day / 60_000 % 60, 2);
    out.push(b':');
    digits(out, of_day / 1_000 % 60, 2);
    of_day % 1_000
}

/// RFC 3339 with Z, the fraction without trailing zeros.
pub fn write_rfc3339(out: &mut Vec<u8>, millis: i64) {
    let mut left = write(out, millis, b'T');
    let mut count = 3;
    while count > 0 && left % 10 == 0 {
        left /= 10;
        count -= 1;
    }
    if count > 0 {
        out.push(b'.');
        digits(out, left, count);
    }
    out.push(b'Z');
}

/// As enriched TSV has it: `yyyy-MM-dd HH:mm:ss.SSS`.
pub fn write_tsv(out: &mut Vec<u8>, millis: i64) {
    let left = write(out, millis, b' ');
    out.push(b'.');
    digits(out, left, 3);
}

/// Milliseconds since the epoch by the system's clock.
#[must_use]
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |passed| {
            i64::try_from(passed.as_millis()).unwrap_or(LAST)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rfc3339(millis: i64) -> String {
        let mut out = Vec::new();
        write_rfc3339(&mut out, millis);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn known_times_read_as_they_should() {
        for (millis, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_742_986_606_033, "2025-03-26T10:56:46.033Z"),
            (1_742_986_606_700, "2025-03-26T10:56:46.7Z"),
            (1_742_986_606_050, "2025-03-26T10:56:46.05Z"),
            (FIRST, "0000-01-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59.999Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(millis), want);
        }
        let mut out = Vec::new();
        write_tsv(&mut out, 1_742_986_606_700);
        assert_eq!(out, b"2025-03-26 10:56:46.700");
    }

    #[test]
    fn only_whole_milliseconds_are_read() {
        assert_eq!(parse_millis("1742986606033"), Some(1_742_986_606_033));
        assert_eq!(parse_millis("-1"), Some(-1));
        for wrong in [
            "",
            "-",
            "1.5",
            "1e3",
            "+1",
            " 1",
            "--1",
            "253402300800000",
            "99999999999999999999",
        ] {
            assert_eq!(parse_millis(wrong), None, "{wrong}");
        }
    }

    proptest! {
        /// Days count up one by one: each date follows the one before by the calendar's rule.
        #[test]
        fn days_follow_each_other(day in FIRST / DAY..LAST / DAY) {
            let (year, month, today) = civil(day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = [31, 28 + u32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                [month as usize - 1];
            let next = if today < length {
                (year, month, today + 1)
            } else if month < 12 {
                (year, month + 1, 1)
            } else {
                (year + 1, 1, 1)
            };
            prop_assert_eq!(civil(day + 1), next);
        }
    }
}
