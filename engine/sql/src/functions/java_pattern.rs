//! Patterns of times as Java's DateTimeFormatter writes them, for DATE_FORMAT and UNIX_TIMESTAMP.
//! English names, UTC. Letters whose meaning depends on a locale's weeks or on a time zone are
//! refused.

use super::calendar::Civil;
use std::fmt::Write;

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A letter and how often it stands.
    Field(char, usize),
    Text(String),
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const MICROS_PER_HOUR: i64 = 3_600_000_000;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(first) = chars.next() {
            if first == '\'' {
                parts.push(Part::Text(quoted(&mut chars)?));
                continue;
            }
            if !first.is_ascii_alphabetic() {
                if "[]{}#".contains(first) {
                    return Err(format!("'{first}' is reserved in a pattern: quote it"));
                }
                parts.push(Part::Text(first.to_string()));
                continue;
            }
            let mut count = 1;
            while chars.next_if_eq(&first).is_some() {
                count += 1;
            }
            let longest = match first {
                'y' | 'u' | 'S' => 9,
                'M' | 'L' | 'E' | 'G' => 4,
                'd' | 'H' | 'h' | 'K' | 'k' | 'm' | 's' => 2,
                'D' => 3,
                'Q' | 'q' => 2,
                'a' => 1,
                _ => {
                    return Err(format!(
                        "the letter '{first}' of a pattern is not served: the letters are \
                         y u M L d D E Q a H k h K m s S G"
                    ));
                }
            };
            if count > longest {
                return Err(format!(
                    "the letter '{first}' stands {count} times, {longest} at most"
                ));
            }
            parts.push(Part::Field(first, count));
        }
        Ok(Self(parts))
    }

    /// The text of a time, microseconds since the epoch.
    pub(super) fn format(&self, micros: i64) -> String {
        let mut out = String::new();
        let at = Civil::of(micros);
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(letter, count) => field(&mut out, at, *letter, *count),
            }
        }
        out
    }

    /// The time that a text stands for; `None` where it does not fit, or the pattern has fields
    /// that cannot be read back. What the pattern lacks is that of 1970-01-01 00:00:00.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        let mut rest = text;
        let (mut year, mut month, mut day) = (1970, 1, 1);
        let (mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0);
        let mut afternoon = None;
        for (n, part) in self.0.iter().enumerate() {
            let (letter, count) = match part {
                Part::Text(text) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    continue;
                }
                Part::Field(letter, count) => (*letter, *count),
            };
            if letter == 'a' {
                let half = rest.get(..2)?.to_ascii_uppercase();
                afternoon = Some(half == "PM").filter(|pm| *pm || half == "AM");
                afternoon?;
                rest = rest.get(2..)?;
                continue;
            }
            // Digits go on as far as they may, unless the next field begins at once.
            let adjacent = matches!(self.0.get(n + 1), Some(Part::Field(..)));
            let most = match letter {
                'S' => count,
                _ if adjacent => count,
                'y' | 'u' if count != 2 => 9,
                _ => 2,
            };
            let digits = rest
                .bytes()
                .take(most)
                .take_while(u8::is_ascii_digit)
                .count();
            if digits < count.min(most) {
                return None;
            }
            let value: i64 = rest.get(..digits)?.parse().ok()?;
            rest = rest.get(digits..)?;
            match letter {
                'y' | 'u' if count == 2 => year = 2000 + value,
                'y' | 'u' => year = value,
                'M' | 'L' if count <= 2 => month = value,
                'd' => day = value,
                'H' => hour = value,
                'k' => hour = value % 24,
                'h' | 'K' => hour = value % 12,
                'm' => minute = value,
                's' => second = value,
                'S' => {
                    let scale = 10_i64.checked_pow(u32::try_from(digits).ok()?)?;
                    micros = value * 1_000_000 / scale;
                }
                _ => return None,
            }
        }
        if afternoon == Some(true) {
            hour += 12;
        }
        let in_range = hour < 24 && minute < 60 && second < 60 && rest.is_empty();
        let civil = Civil {
            year,
            month,
            day,
            micros: ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros,
        };
        (in_range && civil.is_valid())
            .then(|| civil.to_micros())
            .flatten()
    }
}

/// A text in quotes; two quotes are one, also by themselves.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    let mut text = String::new();
    if chars.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    while let Some(next) = chars.next() {
        if next != '\'' {
            text.push(next);
        } else if chars.next_if_eq(&'\'').is_some() {
            text.push('\'');
        } else {
            return Ok(text);
        }
    }
    Err("a quote in the pattern is not closed".to_owned())
}

fn field(out: &mut String, at: Civil, letter: char, count: usize) {
    let hour = at.micros / MICROS_PER_HOUR;
    let second = at.micros / 1_000_000;
    let number = match letter {
        'y' | 'u' if count == 2 => at.year.rem_euclid(100),
        'y' | 'u' => at.year,
        'M' | 'L' if count > 2 => {
            name(
                out,
                &MONTHS,
                usize::try_from(at.month - 1).unwrap_or(0),
                count,
            );
            return;
        }
        'E' => {
            name(out, &DAYS, at.day_of_week(), count);
            return;
        }
        'G' => {
            let common = at.year > 0;
            out.push_str(match (common, count) {
                (true, 4) => "Anno Domini",
                (false, 4) => "Before Christ",
                (true, _) => "AD",
                (false, _) => "BC",
            });
            return;
        }
        'a' => {
            out.push_str(if hour < 12 { "AM" } else { "PM" });
            return;
        }
        'S' => {
            let digits = format!("{:06}000", at.micros % 1_000_000);
            out.push_str(digits.get(..count).unwrap_or(&digits));
            return;
        }
        'M' | 'L' => at.month,
        'd' => at.day,
        'D' => at.day_of_year(),
        'Q' | 'q' => (at.month - 1) / 3 + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'h' => (hour + 11) % 12 + 1,
        'K' => hour % 12,
        'm' => second / 60 % 60,
        _ => second % 60,
    };
    // Writing into a String never fails.
    let _ = write!(out, "{number:0count$}");
}

fn name(out: &mut String, names: &[&str], index: usize, count: usize) {
    let name = names.get(index).copied().unwrap_or("");
    out.push_str(if count < 4 {
        name.get(..3).unwrap_or(name)
    } else {
        name
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 2001-07-04 12:08:56.789012, the time of the examples in Java's documentation.
    const TIME: i64 = 994_248_536_789_012;

    #[test]
    fn times_read_as_java_writes_them() {
        for (pattern, want) in [
            ("yyyy-MM-dd HH:mm:ss", "2001-07-04 12:08:56"),
            ("yyyy.MM.dd G 'at' HH:mm:ss", "2001.07.04 AD at 12:08:56"),
            ("EEE, MMM d, ''yy", "Wed, Jul 4, '01"),
            ("h:mm a", "12:08 PM"),
            ("hh 'o''clock' a", "12 o'clock PM"),
            ("K:mm a", "0:08 PM"),
            ("yyMMddHHmmss", "010704120856"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2001-07-04T12:08:56.789"),
            ("SSSSSSSSS", "789012000"),
            ("EEEE MMMM D DDD Q QQ k", "Wednesday July 185 185 3 03 12"),
            ("y u yyyyy", "2001 2001 02001"),
            ("", ""),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert_eq!(pattern.format(TIME), want);
        }
        let midnight = Pattern::new("H k h K a").unwrap();
        assert_eq!(midnight.format(0), "0 24 12 0 AM");
        let before = Pattern::new("yyyy-MM-dd HH:mm:ss.SSS").unwrap();
        assert_eq!(before.format(-1_000), "1969-12-31 23:59:59.999");
    }

    #[test]
    fn texts_are_read_back() {
        for pattern in [
            "yyyy-MM-dd HH:mm:ss.SSSSSS",
            "yyyyMMddHHmmssSSSSSS",
            "d/M/yyyy h:m:s a SSSSSS",
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            for micros in [0, TIME, -1, 951_782_400_000_000, 951_825_600_000_001] {
                let text = pattern.format(micros);
                assert_eq!(pattern.parse(&text), Some(micros), "{text}");
            }
        }
        let pattern = Pattern::new("yyyy-MM-dd").unwrap();
        for wrong in [
            "2023-02-29",
            "2024-13-01",
            "2024-1-01",
            "2024-01-01 ",
            "",
            "x",
        ] {
            assert_eq!(pattern.parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn patterns_that_mean_something_else_elsewhere_are_refused() {
        for wrong in [
            "YYYY", "ww", "z", "yyyy'", "MMMMM", "[yyyy]", "aa", "HHH", "T",
        ] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
    }
}
