//! Strings with escapes, and base64.

use super::value::Fault;

/// Appends what a JSON string (the bytes between its quotes) stands for. A lone half of a
/// surrogate pair, which UTF-8 cannot hold, becomes U+FFFD: browsers send them where a script cut
/// a text in the middle of a character, and one such title is no reason to lose an event.
///
/// # Errors
/// [`Fault::Escape`]; part of the text may have been appended.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let byte = *tail.get(1).ok_or(Fault::Escape)?;
        rest = tail.get(2..).unwrap_or_default();
        out.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (character, used) = unicode(rest)?;
                let mut buffer = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                rest = rest.get(used..).unwrap_or_default();
                continue;
            }
            _ => return Err(Fault::Escape),
        });
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character behind `\u`, and how many bytes it took: 4, or 10 for a pair.
fn unicode(text: &[u8]) -> Result<(char, usize), Fault> {
    let first = hex(text)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, 4));
    }
    if first < 0xdc00 && text.get(4..6) == Some(b"\\u") {
        let second = hex(text.get(6..).unwrap_or_default())?;
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x1_0000 + ((first - 0xd800) << 10 | (second - 0xdc00));
            return Ok((
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                10,
            ));
        }
    }
    Ok((char::REPLACEMENT_CHARACTER, 4))
}

fn hex(text: &[u8]) -> Result<u32, Fault> {
    let digits = text.get(..4).ok_or(Fault::Escape)?;
    digits.iter().try_fold(0, |value, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(Fault::Escape)?;
        Ok(value << 4 | digit)
    })
}

/// Appends the bytes that base64 text stands for (RFC 4648, either alphabet, padding optional).
/// Returns false where it is no base64; part may have been appended.
pub(crate) fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    let end = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |at| at + 1);
    if text.len() - end > 2 {
        return false;
    }
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.get(..end).unwrap_or_default() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    // One character alone is no byte, and the bits left over must be zero.
    count < 6 && bits == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(escaped: &str) -> Option<String> {
        let mut out = Vec::new();
        unescape(escaped.as_bytes(), &mut out).ok()?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn escapes_read_as_they_are_written() {
        assert_eq!(
            text(r#"a\"\\\/\b\f\n\r\tz"#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\tz"
        );
        assert_eq!(text(r"\u00fc\uD83D\ude00\u0000").unwrap(), "ü😀\0");
        for wrong in [r"\x", r"\u12", r"\u12g4", r"\", r"\u", r"\uD83D\u"] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn half_a_pair_becomes_a_replacement_character() {
        for (half, want) in [
            (r"a\ud83d", "a\u{fffd}"),
            (r"\ude00b", "\u{fffd}b"),
            (r"\ud83d\u0041", "\u{fffd}A"),
        ] {
            assert_eq!(text(half).unwrap(), want, "{half}");
        }
    }

    #[test]
    fn base64_reads_both_alphabets() {
        let read = |text: &str| {
            let mut out = Vec::new();
            base64(text.as_bytes(), &mut out).then_some(out)
        };
        assert_eq!(read("").unwrap(), b"");
        assert_eq!(read("Zg==").unwrap(), b"f");
        assert_eq!(read("Zm8").unwrap(), b"fo");
        assert_eq!(read("Zm9vYmFy").unwrap(), b"foobar");
        assert_eq!(read("-_8=").unwrap(), read("+/8=").unwrap());
        for wrong in ["Z", "Z===", "Zg!=", "Zh==", "Zm9v YmFy"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
