//! SELECTs: the window functions in FROM are taken out, the rest is sqlparser's.
//!
//! `TABLE(HOP(TABLE t, DESCRIPTOR(ts), …))` becomes a relation with a name of its own
//! ([`WindowCall::placeholder`]) at the same place in the text, so that all places in the parsed
//! query are those of the user's text. The planner asks for the call when it meets the name.

use super::cursor::{Cursor, Name, Parsed, plain};
use super::interval::interval;
use crate::lexer::{DIALECT, Lexeme, Places, lower_first};
use sqlparser::ast::{self, Query, TableFactor};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Word};
use std::sync::Arc;
use tidewheel_core::{Diagnostic, Span};
use tidewheel_kernel::spec::{WindowKind, WindowSpec};

/// What a placeholder's name begins with; no name that a user writes holds a NUL.
const PLACEHOLDER: &str = "\u{0}window";
/// Sizes that need more slides than this to cover are refused.
const WINDOWS_PER_ROW_MAX: i64 = 100_000;
/// FROM clauses nested deeper than this are refused.
const NESTING_MAX: usize = 32;

/// A window function in a FROM clause.
#[derive(Debug, Clone)]
pub(crate) struct WindowCall {
    /// The name of the relation that stands for it.
    pub placeholder: String,
    /// The windows.
    pub window: WindowSpec,
    /// The function's name, upper case.
    pub function: &'static str,
    /// What it windows.
    pub input: TableFactor,
    /// Its input as an upper-case relation for messages.
    pub input_name: String,
    /// DESCRIPTOR's column.
    pub time: Name,
    /// PARTITION BY of a SESSION.
    pub partition_by: Vec<Name>,
    /// The whole call.
    pub span: Span,
}

/// A parsed SELECT.
#[derive(Debug, Clone)]
pub(crate) struct SelectText {
    /// The query.
    pub query: Box<Query>,
    /// Its window functions, inner ones first.
    pub windows: Vec<WindowCall>,
    /// Its tokens, to find places by name.
    pub tokens: Vec<Lexeme>,
    /// The places of its text.
    pub places: Places,
    /// All of it.
    pub span: Span,
}

/// Parses a SELECT. `counter` numbers the placeholders.
pub(crate) fn select(
    tokens: &[Lexeme],
    places: &Places,
    counter: &mut usize,
) -> Parsed<SelectText> {
    let mut windows = Vec::new();
    let rewritten = rewrite(tokens, places, &mut windows, counter, 0)?;
    let query = parse_query(rewritten, places, tokens)?;
    let span = Cursor::new(tokens, places).span_between(0, tokens.len());
    Ok(SelectText {
        query,
        windows,
        tokens: tokens.to_vec(),
        places: places.clone(),
        span,
    })
}

/// Parses a scalar expression.
pub(crate) fn expression(tokens: &[Lexeme], places: &Places) -> Parsed<ast::Expr> {
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(plain(tokens));
    let expr = parser
        .parse_expr()
        .map_err(|e| parse_error(&e, places, tokens))?;
    end_of(&parser, places)?;
    Ok(expr)
}

fn parse_query(
    tokens: Vec<TokenWithSpan>,
    places: &Places,
    original: &[Lexeme],
) -> Parsed<Box<Query>> {
    let mut parser = Parser::new(&DIALECT).with_tokens_with_locations(tokens);
    let query = parser
        .parse_query()
        .map_err(|e| parse_error(&e, places, original))?;
    end_of(&parser, places)?;
    Ok(query)
}

fn end_of(parser: &Parser<'_>, places: &Places) -> Parsed<()> {
    let next = parser.peek_token();
    if matches!(next.token, Token::EOF) {
        return Ok(());
    }
    Err(Diagnostic::error(
        format!("expected the end of the statement, found '{}'", next.token),
        places.span(next.span),
    )
    .with_advice("end each statement with ';'; names that are SQL words need `backticks`"))
}

/// sqlparser's messages end with the place: `… at Line: 3, Column: 14`.
fn parse_error(error: &ParserError, places: &Places, tokens: &[Lexeme]) -> Diagnostic {
    let whole = || {
        let cursor = Cursor::new(tokens, places);
        cursor.span_between(tokens.len().saturating_sub(1), tokens.len())
    };
    let text = match error {
        ParserError::ParserError(text) | ParserError::TokenizerError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => "the query is nested too deeply",
    };
    let (message, location) = match text.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let mut numbers = place.split(", Column: ").map(|n| n.trim().parse::<u64>());
            match (numbers.next(), numbers.next()) {
                (Some(Ok(line)), Some(Ok(column))) => (message, Some(Location { line, column })),
                _ => (message, None),
            }
        }
        None => (text, None),
    };
    let span = location.map_or_else(whole, |location| {
        let start = places.byte(location);
        let end = tokens
            .iter()
            .find(|t| t.start == start)
            .map_or(start + 1, |t| t.end);
        Span {
            source: Arc::clone(places.source()),
            start,
            end,
        }
    });
    let message = message.strip_prefix("Expected: ").map_or_else(
        || lower_first(message),
        |rest| format!("expected {}", rest.replace(", found: ", ", found ")),
    );
    Diagnostic::error(message, Some(span))
        .with_advice("names that are SQL words, such as `user` or `timestamp`, need `backticks`")
}

/// The tokens with each window function replaced by a name.
fn rewrite(
    tokens: &[Lexeme],
    places: &Places,
    windows: &mut Vec<WindowCall>,
    counter: &mut usize,
    depth: usize,
) -> Parsed<Vec<TokenWithSpan>> {
    let mut cursor = Cursor::new(tokens, places);
    let mut out = Vec::with_capacity(tokens.len());
    if depth > NESTING_MAX {
        return Err(Diagnostic::error(
            format!("FROM clauses are nested more than {NESTING_MAX} deep"),
            Some(cursor.here()),
        ));
    }
    let mut relation = false;
    while let Some(lexeme) = cursor.peek() {
        let from = cursor.position();
        let wrapped = cursor.eat_words(&["TABLE"]) && cursor.eat(&Token::LParen);
        let function = cursor.peek().and_then(|t| function_name(t));
        let called = cursor.peek_at(1).is_some_and(|t| t.is(&Token::LParen));
        match function {
            Some(function) if called && (wrapped || relation) => {
                let call = window_call(&mut cursor, function, from, windows, counter, depth)?;
                if wrapped {
                    cursor.expect(&Token::RParen)?;
                }
                out.push(placeholder_token(&call.placeholder, lexeme));
                windows.push(call);
                relation = false;
            }
            _ => {
                cursor.seek(from);
                relation = lexeme.is_word("FROM")
                    || lexeme.is_word("JOIN")
                    || (relation && lexeme.is_word("LATERAL"));
                out.push(lexeme.token.clone());
                cursor.next();
            }
        }
    }
    Ok(out)
}

fn function_name(lexeme: &Lexeme) -> Option<&'static str> {
    ["TUMBLE", "HOP", "CUMULATE", "SESSION"]
        .into_iter()
        .find(|name| lexeme.is_word(name))
}

fn placeholder_token(name: &str, at: &Lexeme) -> TokenWithSpan {
    let word = Word {
        value: name.to_owned(),
        quote_style: Some('`'),
        keyword: Keyword::NoKeyword,
    };
    TokenWithSpan {
        token: Token::Word(word),
        span: at.token.span,
    }
}

/// One argument: its name where named (`SIZE =>`), and where it begins.
fn argument_name(cursor: &mut Cursor<'_>) -> Option<Name> {
    let arrow = cursor.peek_at(1).is_some_and(|t| t.is(&Token::RArrow));
    if !arrow {
        return None;
    }
    let name = cursor.name("an argument's name").ok()?;
    cursor.next();
    Some(name)
}

fn window_call(
    cursor: &mut Cursor<'_>,
    function: &'static str,
    from: usize,
    windows: &mut Vec<WindowCall>,
    counter: &mut usize,
    depth: usize,
) -> Parsed<WindowCall> {
    cursor.next();
    cursor.expect(&Token::LParen)?;
    let usage = usage(function);
    argument_name(cursor);
    let (input, input_name) = input(cursor, windows, counter, depth)
        .map_err(|error| with_default_advice(error, usage))?;
    let partition_by = partition_by(cursor)?;
    if let Some(first) = partition_by.first()
        && function != "SESSION"
    {
        return Err(Diagnostic::error(
            format!("PARTITION BY is for SESSION alone, not for {function}"),
            Some(first.span.clone()),
        )
        .with_advice("leave it out: GROUP BY names the key"));
    }
    expect_comma(cursor, usage)?;
    argument_name(cursor);
    let time = descriptor(cursor, usage)?;
    let lengths = lengths(cursor, function, usage)?;
    if !cursor.peek().is_some_and(|t| t.is(&Token::RParen)) {
        return Err(cursor.unexpected("')'").with_advice(usage));
    }
    cursor.next();
    let span = cursor.span_from(from);
    let window = window_spec(function, &lengths, &span)?;
    *counter += 1;
    Ok(WindowCall {
        placeholder: format!("{PLACEHOLDER}{counter}"),
        window,
        function,
        input,
        input_name,
        time,
        partition_by,
        span,
    })
}

fn usage(function: &str) -> &'static str {
    match function {
        "TUMBLE" => "write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)",
        "HOP" => {
            "write HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '30' SECOND, INTERVAL '5' MINUTE): \
             the slide, then the size"
        }
        "CUMULATE" => {
            "write CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '1' HOUR): \
             the step, then the size"
        }
        _ => "write SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '30' MINUTE)",
    }
}

fn with_default_advice(error: Diagnostic, advice: &str) -> Diagnostic {
    if error.advice.is_some() {
        error
    } else {
        error.with_advice(advice)
    }
}

fn expect_comma(cursor: &mut Cursor<'_>, usage: &str) -> Parsed<()> {
    cursor
        .expect(&Token::Comma)
        .map_err(|error| error.with_advice(usage))
}

/// `TABLE t`, `TABLE (SELECT …)`, `(SELECT …)` or just `t`.
fn input(
    cursor: &mut Cursor<'_>,
    windows: &mut Vec<WindowCall>,
    counter: &mut usize,
    depth: usize,
) -> Parsed<(TableFactor, String)> {
    cursor.eat_words(&["TABLE"]);
    if cursor.peek().is_some_and(|t| t.is(&Token::LParen)) {
        cursor.next();
        let from = cursor.position();
        let mut inner: Vec<Lexeme> = cursor.balanced(&[]).to_vec();
        while cursor.eat(&Token::Comma) {
            // A comma of the subquery's own SELECT list.
            cursor.balanced(&[]);
            inner = cursor.slice(from, cursor.position()).to_vec();
        }
        let places = cursor.places();
        cursor.expect(&Token::RParen)?;
        let rewritten = rewrite(&inner, places, windows, counter, depth + 1)?;
        let subquery = parse_query(rewritten, places, &inner)?;
        let factor = TableFactor::Derived {
            lateral: false,
            subquery,
            alias: None,
            sample: None,
        };
        return Ok((factor, "the subquery".to_owned()));
    }
    let at = cursor.peek().cloned();
    let name = cursor.qualified_name("TABLE and a table's name")?;
    let span = at.map_or(sqlparser::tokenizer::Span::empty(), |t| t.token.span);
    Ok((table_factor(&name.value, span), format!("'{}'", name.value)))
}

/// A relation by name.
pub(crate) fn table_factor(name: &str, span: sqlparser::tokenizer::Span) -> TableFactor {
    let ident = ast::Ident {
        value: name.to_owned(),
        quote_style: Some('`'),
        span,
    };
    TableFactor::Table {
        name: ast::ObjectName::from(vec![ident]),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

fn partition_by(cursor: &mut Cursor<'_>) -> Parsed<Vec<Name>> {
    if !cursor.eat_words(&["PARTITION", "BY"]) {
        return Ok(Vec::new());
    }
    if cursor.peek().is_some_and(|t| t.is(&Token::LParen)) {
        return cursor.names_in_parentheses("a column");
    }
    // Without parentheses: the comma before DESCRIPTOR ends the list.
    let mut names = vec![cursor.name("a column")?];
    loop {
        let another = cursor.peek().is_some_and(|t| t.is(&Token::Comma))
            && !cursor.peek_at(1).is_some_and(|t| t.is_word("DESCRIPTOR"))
            && !cursor.peek_at(2).is_some_and(|t| t.is(&Token::RArrow));
        if !another {
            return Ok(names);
        }
        cursor.next();
        names.push(cursor.name("a column")?);
    }
}

fn descriptor(cursor: &mut Cursor<'_>, usage: &str) -> Parsed<Name> {
    if cursor.eat_words(&["DESCRIPTOR"]) {
        let mut names = cursor.names_in_parentheses("the time column")?;
        return match (names.pop(), names.is_empty()) {
            (Some(name), true) => Ok(name),
            _ => Err(Diagnostic::error(
                "DESCRIPTOR takes one column",
                Some(cursor.here()),
            )),
        };
    }
    Err(cursor
        .unexpected("DESCRIPTOR(…) with the time column")
        .with_advice(usage))
}

/// The lengths of a call and their places, by the meaning of their position.
struct Lengths {
    first: (i64, Span),
    second: Option<(i64, Span)>,
    offset: i64,
}

fn lengths(cursor: &mut Cursor<'_>, function: &str, usage: &str) -> Parsed<Lengths> {
    let two = matches!(function, "HOP" | "CUMULATE");
    let mut found: [Option<(i64, Span)>; 3] = [None, None, None];
    let mut position = 0;
    while cursor.eat(&Token::Comma) {
        let name = argument_name(cursor);
        let slot = match &name {
            Some(name) => match name.value.to_ascii_uppercase().as_str() {
                "SLIDE" | "STEP" | "GAP" => 0,
                "SIZE" => usize::from(two),
                "OFFSET" => 2,
                _ => {
                    return Err(Diagnostic::error(
                        format!("{function} has no argument '{}'", name.value),
                        Some(name.span.clone()),
                    )
                    .with_advice(usage));
                }
            },
            None if position == 1 && !two => 2,
            None => position,
        };
        let what = match (slot, function) {
            (2, _) => "the offset",
            (0, "HOP") => "the slide",
            (0, "CUMULATE") => "the step",
            (0, "SESSION") => "the gap",
            _ => "the size",
        };
        let from = cursor.position();
        let micros =
            interval(cursor, what, slot == 2).map_err(|error| with_default_advice(error, usage))?;
        match found.get_mut(slot) {
            Some(place @ None) => *place = Some((micros, cursor.span_from(from))),
            _ => {
                return Err(Diagnostic::error(
                    format!("{function} has too many arguments"),
                    Some(cursor.span_from(from)),
                )
                .with_advice(usage));
            }
        }
        position += 1;
    }
    let [first, second, offset] = found;
    let Some(first) = first else {
        return Err(cursor.unexpected("', INTERVAL …'").with_advice(usage));
    };
    if two && second.is_none() {
        return Err(cursor
            .unexpected("', INTERVAL …' with the size")
            .with_advice(usage));
    }
    if function == "SESSION"
        && let Some((_, span)) = offset
    {
        return Err(Diagnostic::error("SESSION has no offset", Some(span)).with_advice(usage));
    }
    Ok(Lengths {
        first,
        second,
        offset: offset.map_or(0, |(micros, _)| micros),
    })
}

fn window_spec(function: &str, lengths: &Lengths, span: &Span) -> Parsed<WindowSpec> {
    let (first, _) = lengths.first;
    let size = lengths.second.as_ref().map_or(first, |(micros, _)| *micros);
    let kind = match function {
        "TUMBLE" => WindowKind::Tumble { size: first },
        "SESSION" => WindowKind::Session { gap: first },
        "HOP" => WindowKind::Hop { slide: first, size },
        _ => WindowKind::Cumulate { step: first, size },
    };
    if matches!(kind, WindowKind::Hop { .. } | WindowKind::Cumulate { .. }) {
        if first > size {
            let (small, advice) = if function == "HOP" {
                ("slide", "the slide comes first, then the size")
            } else {
                ("step", "the step comes first, then the size")
            };
            return Err(Diagnostic::error(
                format!("the {small} of {function} is longer than its size"),
                Some(lengths.first.1.clone()),
            )
            .with_advice(advice));
        }
        if size / first > WINDOWS_PER_ROW_MAX {
            return Err(Diagnostic::error(
                format!("a row would be in more than {WINDOWS_PER_ROW_MAX} windows"),
                Some(span.clone()),
            )
            .with_advice("use a longer slide or a shorter size"));
        }
    }
    if function == "CUMULATE" && size % first != 0 {
        return Err(Diagnostic::error(
            "the size of CUMULATE must be a multiple of its step",
            Some(span.clone()),
        )
        .with_advice("choose a step that divides the size"));
    }
    let cycle = match kind {
        WindowKind::Hop { slide, .. } => slide,
        WindowKind::Tumble { size } | WindowKind::Cumulate { size, .. } => size,
        WindowKind::Session { .. } => 1,
    };
    // Offsets a whole cycle apart are the same windows.
    Ok(WindowSpec {
        kind,
        offset: lengths.offset.rem_euclid(cycle),
    })
}
