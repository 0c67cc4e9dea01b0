//! Tokens with their places in bytes.

use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::sync::Arc;
use tidewheel_core::{Diagnostic, SourceText, Span};

/// The dialect that expressions and queries are tokenized and parsed with.
pub(crate) static DIALECT: GenericDialect = GenericDialect {};

/// A token and the bytes it stands at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lexeme {
    /// The token with its line and column, as sqlparser wants it.
    pub token: TokenWithSpan,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Lexeme {
    /// True for an unquoted word that reads `word`, in any case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.token.token, Token::Word(w)
            if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word))
    }

    /// True for a token of punctuation.
    pub(crate) fn is(&self, token: &Token) -> bool {
        self.token.token == *token
    }
}

/// Turns lines and columns of one text into bytes.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    source: Arc<SourceText>,
    line_starts: Vec<usize>,
}

impl Places {
    /// The places of a text.
    pub(crate) fn new(source: &Arc<SourceText>) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(source.text.match_indices('\n').map(|(at, _)| at + 1));
        Self {
            source: Arc::clone(source),
            line_starts,
        }
    }

    /// The byte at a line and column, both from 1; the column counts characters.
    pub(crate) fn byte(&self, location: Location) -> usize {
        let line = usize::try_from(location.line)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let Some(&start) = self.line_starts.get(line) else {
            return self.source.text.len();
        };
        let column = usize::try_from(location.column)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let rest = self.source.text.get(start..).unwrap_or("");
        rest.char_indices()
            .nth(column)
            .map_or(self.source.text.len(), |(at, _)| start + at)
    }

    /// The span of sqlparser's span; `None` where it is empty.
    pub(crate) fn span(&self, span: sqlparser::tokenizer::Span) -> Option<Span> {
        if span.start.line == 0 {
            return None;
        }
        let (start, end) = (self.byte(span.start), self.byte(span.end));
        Some(Span {
            source: Arc::clone(&self.source),
            start,
            end: end.max(start),
        })
    }

    /// The text.
    pub(crate) fn source(&self) -> &Arc<SourceText> {
        &self.source
    }
}

/// Splits a text into tokens, white space and comments left out.
///
/// # Errors
/// A string or comment without an end, or a character that SQL does not have.
pub(crate) fn tokenize(places: &Places) -> Result<Vec<Lexeme>, Diagnostic> {
    let text = &places.source().text;
    let tokens = Tokenizer::new(&DIALECT, text)
        .tokenize_with_location()
        .map_err(|error| {
            let start = places.byte(error.location);
            let end = text
                .get(start..)
                .and_then(|t| t.find('\n'))
                .map_or(text.len(), |n| start + n);
            let span = Span {
                source: Arc::clone(places.source()),
                start,
                end,
            };
            Diagnostic::error(lower_first(&error.message), Some(span))
                .with_advice("close the string, the quoted name or the comment that begins here")
        })?;
    Ok(tokens
        .into_iter()
        .filter(|t| !matches!(t.token, Token::Whitespace(_) | Token::EOF))
        .map(|token| {
            let (start, end) = (places.byte(token.span.start), places.byte(token.span.end));
            Lexeme { token, start, end }
        })
        .collect())
}

/// The text with its first letter in lower case, as messages begin.
pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        // An acronym such as SQL stays as it is.
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_know_their_bytes_behind_wide_characters() {
        let text = "SELECT 'größe' AS `ü`,\n  b -- c\n;";
        let source = Arc::new(SourceText {
            name: "a.sql".into(),
            text: text.into(),
        });
        let lexemes = tokenize(&Places::new(&source)).expect("valid");
        let shown: Vec<&str> = lexemes.iter().map(|l| &text[l.start..l.end]).collect();
        assert_eq!(shown, ["SELECT", "'größe'", "AS", "`ü`", ",", "b", ";"]);
    }

    #[test]
    fn an_open_string_is_an_error_where_it_begins() {
        let source = Arc::new(SourceText {
            name: "a.sql".into(),
            text: "SELECT\n 'abc".into(),
        });
        let error = tokenize(&Places::new(&source)).expect_err("open string");
        assert_eq!(error.span.expect("a place").line_column(), (2, 2));
    }
}
