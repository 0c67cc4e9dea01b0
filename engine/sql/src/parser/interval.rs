//! INTERVAL literals of fixed length.

use super::cursor::{Cursor, Parsed};
use sqlparser::tokenizer::Token;
use tidewheel_core::options::parse_duration;
use tidewheel_core::{Diagnostic, Span};

/// Takes `INTERVAL '5' MINUTE`, `INTERVAL '1:30' MINUTE TO SECOND` or `INTERVAL '5 minutes'` and
/// gives its microseconds, above zero unless `zero` is allowed.
pub(crate) fn interval(cursor: &mut Cursor<'_>, what: &str, zero: bool) -> Parsed<i64> {
    let from = cursor.position();
    if !cursor.eat_words(&["INTERVAL"]) {
        return Err(cursor
            .unexpected(&format!("{what} as an INTERVAL"))
            .with_advice("write INTERVAL '5' MINUTE"));
    }
    let negative = cursor.eat(&Token::Minus);
    let text = match cursor.peek().map(|t| t.token.token.clone()) {
        Some(Token::SingleQuotedString(text) | Token::Number(text, _)) => {
            cursor.next();
            text
        }
        _ => return Err(cursor.unexpected("a length in quotes").with_advice(ADVICE)),
    };
    let unit = unit(cursor);
    let to = if unit.is_some() && cursor.eat_words(&["TO"]) {
        let to = self::unit(cursor);
        if to.is_none() {
            return Err(cursor.unexpected("a unit such as SECOND"));
        }
        to
    } else {
        None
    };
    let span = cursor.span_from(from);
    let micros = match (unit, to) {
        (Some(Unit::Calendar), _) | (_, Some(Unit::Calendar)) => {
            return Err(Diagnostic::error(
                format!("{what} has no fixed length: months and years differ"),
                Some(span),
            )
            .with_advice("write it in days, such as INTERVAL '30' DAY"));
        }
        (Some(Unit::Micros(unit)), None) => scaled(&text, unit),
        (Some(Unit::Micros(from)), Some(Unit::Micros(to))) => fields(&text, from, to),
        (None, _) => phrase(&text),
    };
    let micros = micros.map(|m| if negative { -m } else { m });
    check(micros, what, zero, span)
}

const ADVICE: &str = "write INTERVAL '30' SECOND, INTERVAL '5' MINUTE, INTERVAL '1' HOUR";

fn check(micros: Option<i64>, what: &str, zero: bool, span: Span) -> Parsed<i64> {
    match micros {
        Some(m) if m > 0 || (m == 0 && zero) => Ok(m),
        Some(_) => Err(
            Diagnostic::error(format!("{what} must be longer than zero"), Some(span))
                .with_advice(ADVICE),
        ),
        None => {
            Err(Diagnostic::error(format!("{what} cannot be read"), Some(span)).with_advice(ADVICE))
        }
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Micros(i64),
    Calendar,
}

fn unit(cursor: &mut Cursor<'_>) -> Option<Unit> {
    let Token::Word(word) = &cursor.peek()?.token.token else {
        return None;
    };
    let upper = word.value.to_ascii_uppercase();
    let unit = match upper.strip_suffix('S').unwrap_or(&upper) {
        "MICROSECOND" => Unit::Micros(1),
        "MILLISECOND" => Unit::Micros(1_000),
        "SECOND" => Unit::Micros(1_000_000),
        "MINUTE" => Unit::Micros(60_000_000),
        "HOUR" => Unit::Micros(3_600_000_000),
        "DAY" => Unit::Micros(86_400_000_000),
        "WEEK" => Unit::Micros(7 * 86_400_000_000),
        "MONTH" | "QUARTER" | "YEAR" => Unit::Calendar,
        _ => return None,
    };
    cursor.next();
    if cursor.eat(&Token::LParen) {
        // A precision, as in SECOND(3): the literal itself says how fine it is.
        cursor.next();
        cursor.eat(&Token::RParen);
    }
    Some(unit)
}

/// `1.5` units, exactly.
fn scaled(text: &str, unit: i64) -> Option<i64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.chars() {
        place /= 10;
        micros = micros.checked_add(i64::from(digit.to_digit(10)?) * place)?;
    }
    Some(micros)
}

/// `1 02:30:00` from one unit down to another.
fn fields(text: &str, from: i64, to: i64) -> Option<i64> {
    const UNITS: [i64; 4] = [86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000];
    let first = UNITS.iter().position(|u| *u == from)?;
    let last = UNITS.iter().position(|u| *u == to)?;
    let parts: Vec<&str> = text
        .trim()
        .split([' ', ':'])
        .filter(|p| !p.is_empty())
        .collect();
    if last < first || parts.len() != last - first + 1 {
        return None;
    }
    let mut total = 0_i64;
    for (part, unit) in parts.iter().zip(UNITS.iter().skip(first)) {
        total = total.checked_add(scaled(part, *unit)?)?;
    }
    Some(total)
}

/// `5 minutes`, `1 hour 30 minutes`.
fn phrase(text: &str) -> Option<i64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut total = 0_i64;
    let chunks = words.chunks(2);
    if words.is_empty() {
        return None;
    }
    for chunk in chunks {
        let joined = chunk.concat();
        if !joined.ends_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let micros = i64::try_from(parse_duration(&joined)?.as_micros()).ok()?;
        total = total.checked_add(micros)?;
    }
    Some(total)
}
