//! Column types as Flink writes them.

use super::cursor::{Cursor, Parsed};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use sqlparser::tokenizer::Token;
use std::sync::Arc;
use tidewheel_core::Diagnostic;

/// Types nested deeper than this are refused.
const NESTING_MAX: usize = 32;
/// Precision of TIMESTAMP without one, as in Flink.
const TIMESTAMP_PRECISION: u64 = 6;
/// Largest precision of a DECIMAL.
const DECIMAL_PRECISION_MAX: u64 = 38;

const KNOWN: &str = "STRING, BIGINT, INT, SMALLINT, TINYINT, DOUBLE, FLOAT, BOOLEAN, \
    DECIMAL(p, s), BYTES, DATE, TIMESTAMP(p), TIMESTAMP_LTZ(p), ROW<…>, ARRAY<…>, MAP<…>";

/// Parses one type. `>>`, which is one token, closes two brackets: `owed` holds how many closing
/// brackets were read ahead.
pub(crate) fn data_type(cursor: &mut Cursor<'_>) -> Parsed<DataType> {
    let mut owed = 0;
    let parsed = nested(cursor, &mut owed, 0)?;
    if owed > 0 {
        return Err(Diagnostic::error(
            "there is a '>' too many",
            Some(cursor.here()),
        ));
    }
    Ok(parsed)
}

fn nested(cursor: &mut Cursor<'_>, owed: &mut usize, depth: usize) -> Parsed<DataType> {
    if depth > NESTING_MAX {
        return Err(Diagnostic::error(
            format!("types are nested more than {NESTING_MAX} deep"),
            Some(cursor.here()),
        ));
    }
    let name = cursor.name("a type")?;
    let parsed = match name.value.to_ascii_uppercase().as_str() {
        "STRING" | "TEXT" => DataType::Utf8View,
        "VARCHAR" | "CHAR" | "CHARACTER" => {
            let _ = numbers(cursor)?;
            DataType::Utf8View
        }
        "BOOLEAN" | "BOOL" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" | "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" | "REAL" => DataType::Float32,
        "DOUBLE" => {
            cursor.eat_words(&["PRECISION"]);
            DataType::Float64
        }
        "DECIMAL" | "NUMERIC" | "DEC" => decimal(cursor)?,
        "BYTES" => DataType::Binary,
        "VARBINARY" | "BINARY" => {
            let _ = numbers(cursor)?;
            DataType::Binary
        }
        "DATE" => DataType::Date32,
        "TIMESTAMP" | "TIMESTAMP_LTZ" => timestamp(cursor)?,
        "ROW" | "STRUCT" => row(cursor, owed, depth)?,
        "ARRAY" => {
            open(cursor, "ARRAY")?;
            let element = nested(cursor, owed, depth + 1)?;
            close(cursor, owed)?;
            DataType::List(Arc::new(Field::new_list_field(element, true)))
        }
        "MAP" => {
            open(cursor, "MAP")?;
            let key = nested(cursor, owed, depth + 1)?;
            cursor.expect(&Token::Comma)?;
            let value = nested(cursor, owed, depth + 1)?;
            close(cursor, owed)?;
            map_of(key, value)
        }
        _ => {
            return Err(Diagnostic::error(
                format!("there is no type '{}'", name.value),
                Some(name.span),
            )
            .with_advice(format!("the types are {KNOWN}")));
        }
    };
    if !cursor.eat_words(&["NOT", "NULL"]) {
        cursor.eat_words(&["NULL"]);
    }
    Ok(parsed)
}

/// The type of a MAP.
pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", key, false),
        Field::new("value", value, true),
    ]);
    DataType::Map(
        Arc::new(Field::new("entries", DataType::Struct(entries), false)),
        false,
    )
}

fn row(cursor: &mut Cursor<'_>, owed: &mut usize, depth: usize) -> Parsed<DataType> {
    let round = cursor.eat(&Token::LParen);
    if !round {
        open(cursor, "ROW")?;
    }
    let mut fields: Vec<Field> = Vec::new();
    loop {
        let name = cursor.name("a field's name")?;
        if fields.iter().any(|f| *f.name() == name.value) {
            return Err(Diagnostic::error(
                format!("the row has two fields named '{}'", name.value),
                Some(name.span),
            ));
        }
        let field = nested(cursor, owed, depth + 1)?;
        if cursor.eat_words(&["COMMENT"]) {
            cursor.string("a comment in quotes")?;
        }
        fields.push(Field::new(name.value, field, true));
        if *owed > 0 || !cursor.eat(&Token::Comma) {
            break;
        }
    }
    if round {
        cursor.expect(&Token::RParen)?;
    } else {
        close(cursor, owed)?;
    }
    Ok(DataType::Struct(fields.into()))
}

fn open(cursor: &mut Cursor<'_>, what: &str) -> Parsed<()> {
    if cursor.eat(&Token::Lt) {
        return Ok(());
    }
    Err(cursor
        .unexpected("'<'")
        .with_advice(format!("write {what}<…>")))
}

fn close(cursor: &mut Cursor<'_>, owed: &mut usize) -> Parsed<()> {
    if *owed > 0 {
        *owed -= 1;
        return Ok(());
    }
    if cursor.eat(&Token::ShiftRight) {
        *owed += 1;
        return Ok(());
    }
    cursor.expect(&Token::Gt)
}

fn numbers(cursor: &mut Cursor<'_>) -> Parsed<Vec<u64>> {
    let mut found = Vec::new();
    if !cursor.eat(&Token::LParen) {
        return Ok(found);
    }
    loop {
        match cursor.peek().map(|t| &t.token.token) {
            Some(Token::Number(text, _)) => {
                let number = text
                    .parse()
                    .map_err(|_| cursor.unexpected("a whole number"))?;
                found.push(number);
                cursor.next();
            }
            Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("MAX") => {
                cursor.next();
            }
            _ => return Err(cursor.unexpected("a whole number")),
        }
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen)?;
    Ok(found)
}

fn decimal(cursor: &mut Cursor<'_>) -> Parsed<DataType> {
    let at = cursor.here();
    let numbers = numbers(cursor)?;
    let precision = numbers.first().copied().unwrap_or(10);
    let scale = numbers.get(1).copied().unwrap_or(0);
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(p), Ok(s))
            if (1..=DECIMAL_PRECISION_MAX).contains(&precision) && scale <= precision =>
        {
            Ok(DataType::Decimal128(p, s))
        }
        _ => Err(Diagnostic::error(
            format!("DECIMAL({precision}, {scale}) cannot be: the precision goes from 1 to 38"),
            Some(at),
        )
        .with_advice("write DECIMAL(precision, scale), the scale at most the precision")),
    }
}

fn timestamp(cursor: &mut Cursor<'_>) -> Parsed<DataType> {
    let at = cursor.here();
    let numbers = numbers(cursor)?;
    for words in [
        &["WITH", "LOCAL", "TIME", "ZONE"][..],
        &["WITHOUT", "TIME", "ZONE"],
    ] {
        cursor.eat_words(words);
    }
    let unit = match numbers.first().copied().unwrap_or(TIMESTAMP_PRECISION) {
        0..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        7..=9 => TimeUnit::Nanosecond,
        other => {
            return Err(Diagnostic::error(
                format!("TIMESTAMP({other}) cannot be: the precision goes from 0 to 9"),
                Some(at),
            )
            .with_advice("write TIMESTAMP(3) for milliseconds"));
        }
    };
    Ok(DataType::Timestamp(unit, None))
}
