//! Times and dates from text.

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Reads `2025-03-26T10:56:46.033Z`: a date, then `T` or spaces and a time, any number of
/// fraction digits (those behind the ninth are cut), `Z` or an offset or nothing, which means UTC.
/// A date alone is its midnight. Returns seconds since the epoch and nanoseconds.
pub(crate) fn timestamp(text: &[u8]) -> Option<(i64, u32)> {
    let date = i64::from(days(text.get(..10)?)?) * DAY;
    let mut at = 10;
    match text.get(at) {
        None => return Some((date, 0)),
        Some(b'T' | b't') => at += 1,
        Some(b' ') => {
            while text.get(at) == Some(&b' ') {
                at += 1;
            }
        }
        Some(_) => return None,
    }
    let hours = two(text, at)?;
    let minutes = two(text, at + 3)?;
    if hours > 23 || minutes > 59 || text.get(at + 2) != Some(&b':') {
        return None;
    }
    at += 5;
    let mut seconds = 0;
    let mut nanos = 0;
    if text.get(at) == Some(&b':') {
        seconds = two(text, at + 1)?;
        if seconds > 59 {
            return None;
        }
        at += 3;
        if let Some(b'.' | b',') = text.get(at) {
            at += 1;
            let start = at;
            let mut unit = 100_000_000;
            while let Some(digit @ b'0'..=b'9') = text.get(at) {
                nanos += u32::from(digit - b'0') * unit;
                unit /= 10;
                at += 1;
            }
            if at == start {
                return None;
            }
        }
    }
    let of_day = i64::from(hours * 3600 + minutes * 60 + seconds);
    Some((date + of_day - offset(text.get(at..)?)?, nanos))
}

/// Reads `2025-03-26` as days since the epoch.
pub(crate) fn days(text: &[u8]) -> Option<i32> {
    if text.len() != 10 || text.get(4) != Some(&b'-') || text.get(7) != Some(&b'-') {
        return None;
    }
    let year = (two(text, 0)? * 100 + two(text, 2)?) as i32;
    let (month, day) = (two(text, 5)?, two(text, 8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Days from a civil date, after Howard Hinnant, "chrono-compatible low-level date algorithms":
    // years begin in March, so that the leap day is a year's last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = ((153 * ((month + 9) % 12) + 2) / 5 + day - 1) as i32;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Seconds east of UTC: nothing, `Z`, `+01:00`, `+0100` or `+01`, after spaces or not.
fn offset(text: &[u8]) -> Option<i64> {
    let text = text.trim_ascii();
    let sign = match text.first() {
        None => return Some(0),
        Some(b'Z' | b'z') if text.len() == 1 => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let hours = two(text, 1)?;
    let minutes = match (text.len(), text.get(3)) {
        (3, _) => 0,
        (5, _) => two(text, 3)?,
        (6, Some(b':')) => two(text, 4)?,
        _ => return None,
    };
    (hours <= 23 && minutes <= 59).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

#[inline]
fn two(text: &[u8], at: usize) -> Option<u32> {
    let high = text.get(at)?.wrapping_sub(b'0');
    let low = text.get(at + 1)?.wrapping_sub(b'0');
    (high < 10 && low < 10).then(|| u32::from(high) * 10 + u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_in_every_common_form() {
        let ms = |text: &str| {
            timestamp(text.as_bytes()).map(|(s, n)| s * 1000 + i64::from(n) / 1_000_000)
        };
        let want = Some(1_742_986_606_700);
        for text in [
            "2025-03-26T10:56:46.7Z",
            "2025-03-26T10:56:46.700000000000000Z",
            "2025-03-26 10:56:46.7",
            "2025-03-26 10:56:46.7 Z",
            "2025-03-26T10:56:46.7",
            "2025-03-26T11:56:46.7+01:00",
            "2025-03-26T05:26:46.7-0530",
            "2025-03-26T11:56:46,7+01",
        ] {
            assert_eq!(ms(text), want, "{text}");
        }
        assert_eq!(ms("2025-03-26T10:56"), Some(1_742_986_560_000));
        assert_eq!(ms("2025-03-26"), Some(1_742_947_200_000));
        assert_eq!(ms("1969-12-31T23:59:59.999Z"), Some(-1));
        assert_eq!(ms("2000-02-29T00:00:00Z"), Some(951_782_400_000));
        for text in [
            "",
            "now",
            "2025-03-26T",
            "2025-02-29",
            "2025-13-01",
            "2025-00-01",
            "2025-01-00",
            "2025-03-26T24:00:00Z",
            "2025-03-26T10:60:00Z",
            "2025-03-26T10:56:60Z",
            "2025-03-26T10:56:46.Z",
            "2025-03-26T10:56:46ZZ",
            "2025-03-26T10:56:46+1",
            "2025-03-26T10:56:46+24:00",
            "2025-03-26x10:56:46Z",
            "2025/03/26",
        ] {
            assert_eq!(ms(text), None, "{text}");
        }
    }

    #[test]
    fn days_count_on_through_four_centuries() {
        let mut want = days(b"1900-01-01").unwrap();
        assert_eq!(days(b"1970-01-01"), Some(0));
        for year in 1900..2301 {
            for month in 1..=12 {
                for day in 1..=31 {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    if let Some(got) = days(text.as_bytes()) {
                        assert_eq!(got, want, "{text}");
                        want += 1;
                    }
                }
            }
        }
        assert_eq!(want, days(b"2301-01-01").unwrap());
    }
}
