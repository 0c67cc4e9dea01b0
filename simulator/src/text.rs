//! Writing of ids, numbers and times without allocation.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// One step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators,
/// OOPSLA 2014): a good mix of a counter's bits.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 128 bits that stand for three numbers under a seed.
pub(crate) fn id_bits(seed: u64, purpose: u64, a: u64, b: u64) -> (u64, u64) {
    let high = mix(mix(mix(seed ^ purpose.wrapping_mul(0xff51_afd7_ed55_8ccd)) ^ a) ^ b);
    (high, mix(high ^ 0xa5a5_5a5a_c3c3_3c3c))
}

/// Appends `digits` hex digits of `value`, the highest first.
pub(crate) fn write_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    let mut text = [0_u8; 16];
    let digits = digits.min(16) as usize;
    for (at, digit) in text[..digits].iter_mut().enumerate() {
        *digit = HEX[(value >> (4 * (digits - 1 - at)) & 15) as usize];
    }
    out.extend_from_slice(&text[..digits]);
}

/// Appends a UUID of version 4.
pub(crate) fn write_uuid(out: &mut Vec<u8>, (high, low): (u64, u64)) {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & !(3 << 62)) | (2 << 62);
    let mut text = *b"00000000-0000-0000-0000-000000000000";
    let mut at = 0;
    for half in [high, low] {
        for byte in half.to_be_bytes() {
            if matches!(at, 8 | 13 | 18 | 23) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
    }
    out.extend_from_slice(&text);
}

/// Appends a whole number.
pub(crate) fn write_number(out: &mut Vec<u8>, mut value: u64) {
    let mut text = [0_u8; 20];
    let mut at = text.len();
    loop {
        at -= 1;
        text[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[at..]);
}

/// Appends an amount as a JSON number without needless zeros: `42.99`, `42.5`, `43`.
pub(crate) fn write_cents(out: &mut Vec<u8>, cents: u64) {
    write_number(out, cents / 100);
    let rest = (cents % 100) as u8;
    if rest != 0 {
        out.extend_from_slice(&[b'.', b'0' + rest / 10]);
        if !rest.is_multiple_of(10) {
            out.push(b'0' + rest % 10);
        }
    }
}

/// Writes times, and remembers the text of the day it wrote last.
#[derive(Debug, Clone)]
pub(crate) struct TimeWriter {
    day: i64,
    text: Vec<u8>,
}

impl TimeWriter {
    pub(crate) fn new() -> Self {
        Self {
            day: i64::MIN,
            text: Vec::with_capacity(16),
        }
    }

    /// Appends a time as RFC 3339 with `Z`, trailing zeros of the fraction cut off.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, ms: i64) {
        let day = ms.div_euclid(86_400_000);
        if day != self.day {
            self.day = day;
            self.text.clear();
            write_date(&mut self.text, day);
        }
        out.extend_from_slice(&self.text);
        let ms = ms.rem_euclid(86_400_000) as u32;
        let (h, m, s, f) = (
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1_000 % 60,
            ms % 1_000,
        );
        let pair = |value: u32| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        let ([h1, h2], [m1, m2], [s1, s2]) = (pair(h), pair(m), pair(s));
        out.extend_from_slice(&[b'T', h1, h2, b':', m1, m2, b':', s1, s2]);
        if f != 0 {
            let digits = [
                b'.',
                b'0' + (f / 100) as u8,
                b'0' + (f / 10 % 10) as u8,
                b'0' + (f % 10) as u8,
            ];
            let kept = if f % 100 == 0 {
                2
            } else if f % 10 == 0 {
                3
            } else {
                4
            };
            out.extend_from_slice(&digits[..kept]);
        }
        out.push(b'Z');
    }
}

impl TimeWriter {
    /// Appends a time as `2026-01-01 00:00:00.000`.
    pub(crate) fn write_plain(&mut self, out: &mut Vec<u8>, ms: i64) {
        let start = out.len();
        self.write(out, ms);
        out.pop();
        if let Some(between) = out.get_mut(start + 10) {
            *between = b' ';
        }
        if out.len() == start + 19 {
            out.push(b'.');
        }
        out.resize(start + 23, b'0');
    }
}

/// Appends the date of a day since the epoch (Hinnant: chrono-compatible low-level date
/// algorithms, 2013).
fn write_date(out: &mut Vec<u8>, day: i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    for (value, width) in [(year, 4), (month, 2), (day, 2)] {
        if width == 2 {
            out.push(b'-');
        }
        let mut scale = 10_i64.pow(width - 1);
        while scale > 0 {
            out.push(b'0' + (value / scale % 10) as u8);
            scale /= 10;
        }
    }
}

/// Appends a JSON string, quotes included.
pub(crate) fn write_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn times_are_trimmed_as_the_topic_has_them() {
        let mut times = TimeWriter::new();
        for (ms, want) in [
            (1_742_986_676_700, "2025-03-26T10:57:56.7Z"),
            (1_742_986_694_170, "2025-03-26T10:58:14.17Z"),
            (1_742_986_606_033, "2025-03-26T10:56:46.033Z"),
            (1_742_986_606_000, "2025-03-26T10:56:46Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(text(|out| times.write(out, ms)), want);
        }
    }

    #[test]
    fn amounts_have_no_needless_zeros() {
        for (cents, want) in [
            (4_299, "42.99"),
            (4_250, "42.5"),
            (4_300, "43"),
            (5, "0.05"),
            (0, "0"),
        ] {
            assert_eq!(text(|out| write_cents(out, cents)), want);
        }
    }

    #[test]
    fn ids_are_uuids_of_version_4() {
        let id = text(|out| write_uuid(out, id_bits(1, 2, 3, 4)));
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
        assert_ne!(id, text(|out| write_uuid(out, id_bits(1, 2, 4, 3))));
    }
}
