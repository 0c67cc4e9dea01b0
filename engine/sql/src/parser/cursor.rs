//! A position in a list of tokens.

use crate::lexer::{Lexeme, Places};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;
use tidewheel_core::{Diagnostic, Span};

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// A name and where it was written.
pub(crate) type Name = Spanned<String>;

/// What a parse step gives.
pub(crate) type Parsed<T> = Result<T, Diagnostic>;

/// A position in the tokens of one statement.
pub(crate) struct Cursor<'a> {
    tokens: &'a [Lexeme],
    at: usize,
    places: &'a Places,
}

impl<'a> Cursor<'a> {
    /// At the first of these tokens.
    pub(crate) fn new(tokens: &'a [Lexeme], places: &'a Places) -> Self {
        Self {
            tokens,
            at: 0,
            places,
        }
    }

    /// The places of the text.
    pub(crate) fn places(&self) -> &'a Places {
        self.places
    }

    /// The token here.
    pub(crate) fn peek(&self) -> Option<&'a Lexeme> {
        self.tokens.get(self.at)
    }

    /// The token `n` further on.
    pub(crate) fn peek_at(&self, n: usize) -> Option<&'a Lexeme> {
        self.tokens.get(self.at + n)
    }

    /// How many tokens were passed.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes to a position.
    pub(crate) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// The tokens from here on.
    pub(crate) fn rest(&self) -> &'a [Lexeme] {
        self.tokens.get(self.at..).unwrap_or(&[])
    }

    /// Tokens between two positions.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a [Lexeme] {
        self.tokens.get(from..to).unwrap_or(&[])
    }

    /// True at the end.
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Takes the token here.
    pub(crate) fn next(&mut self) -> Option<&'a Lexeme> {
        let token = self.tokens.get(self.at);
        self.at += usize::from(token.is_some());
        token
    }

    /// True when the words here are these, in any case.
    pub(crate) fn at_words(&self, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(n, word)| self.peek_at(n).is_some_and(|t| t.is_word(word)))
    }

    /// Takes these words if they are here.
    pub(crate) fn eat_words(&mut self, words: &[&str]) -> bool {
        let here = self.at_words(words);
        if here {
            self.at += words.len();
        }
        here
    }

    /// Takes this punctuation if it is here.
    pub(crate) fn eat(&mut self, token: &Token) -> bool {
        let here = self.peek().is_some_and(|t| t.is(token));
        self.at += usize::from(here);
        here
    }

    /// Takes these words.
    pub(crate) fn expect_words(&mut self, words: &[&str]) -> Parsed<()> {
        if self.eat_words(words) {
            Ok(())
        } else {
            Err(self.unexpected(&words.join(" ")))
        }
    }

    /// Takes this punctuation.
    pub(crate) fn expect(&mut self, token: &Token) -> Parsed<()> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{token}'")))
        }
    }

    /// Takes a name, quoted or not.
    pub(crate) fn name(&mut self, what: &str) -> Parsed<Name> {
        match self.peek() {
            Some(lexeme) => match &lexeme.token.token {
                Token::Word(word) => {
                    self.at += 1;
                    Ok(Spanned {
                        value: word.value.clone(),
                        span: self.span_of(lexeme),
                    })
                }
                _ => Err(self.unexpected(what)),
            },
            None => Err(self.unexpected(what)),
        }
    }

    /// Takes a name that may have a catalogue and a database before it; the last part counts.
    pub(crate) fn qualified_name(&mut self, what: &str) -> Parsed<Name> {
        let mut name = self.name(what)?;
        while self.eat(&Token::Period) {
            name = self.name(what)?;
        }
        Ok(name)
    }

    /// Takes a string in single quotes.
    pub(crate) fn string(&mut self, what: &str) -> Parsed<Name> {
        match self.peek() {
            Some(lexeme) => match &lexeme.token.token {
                Token::SingleQuotedString(text) => {
                    self.at += 1;
                    Ok(Spanned {
                        value: text.clone(),
                        span: self.span_of(lexeme),
                    })
                }
                _ => Err(self.unexpected(what)),
            },
            None => Err(self.unexpected(what)),
        }
    }

    /// Takes names in parentheses, separated by commas.
    pub(crate) fn names_in_parentheses(&mut self, what: &str) -> Parsed<Vec<Name>> {
        self.expect(&Token::LParen)?;
        let mut names = vec![self.name(what)?];
        while self.eat(&Token::Comma) {
            names.push(self.name(what)?);
        }
        self.expect(&Token::RParen)?;
        Ok(names)
    }

    /// Takes all tokens up to, not including, a comma or closing parenthesis of this level, or
    /// one of `stop` words of this level.
    pub(crate) fn balanced(&mut self, stop: &[&str]) -> &'a [Lexeme] {
        let from = self.at;
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token.token.token {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                Token::Comma if depth == 0 => break,
                _ if depth == 0 && stop.iter().any(|w| token.is_word(w)) => break,
                _ => {}
            }
            self.at += 1;
        }
        self.slice(from, self.at)
    }

    /// The place of a token.
    pub(crate) fn span_of(&self, lexeme: &Lexeme) -> Span {
        Span {
            source: Arc::clone(self.places.source()),
            start: lexeme.start,
            end: lexeme.end,
        }
    }

    /// The place from a position to the last token taken.
    pub(crate) fn span_from(&self, from: usize) -> Span {
        self.span_between(from, self.at)
    }

    /// The place of the tokens between two positions.
    pub(crate) fn span_between(&self, from: usize, to: usize) -> Span {
        let text_end = self.places.source().text.len();
        let start = self.tokens.get(from).map_or(text_end, |t| t.start);
        let last = to.checked_sub(1).and_then(|n| self.tokens.get(n));
        let end = last.map_or(start, |t| t.end).max(start);
        Span {
            source: Arc::clone(self.places.source()),
            start,
            end,
        }
    }

    /// The place of the token here, or of the last one at the end.
    pub(crate) fn here(&self) -> Span {
        match self.peek().or_else(|| self.tokens.last()) {
            Some(lexeme) => self.span_of(lexeme),
            None => self.span_between(0, 0),
        }
    }

    /// An error that something else was expected here.
    pub(crate) fn unexpected(&self, wanted: &str) -> Diagnostic {
        let message = match self.peek() {
            Some(found) => format!("expected {wanted}, found '{}'", found.token.token),
            None => format!("expected {wanted}, but the statement ends here"),
        };
        Diagnostic::error(message, Some(self.here()))
    }
}

/// The tokens as sqlparser takes them.
pub(crate) fn plain(tokens: &[Lexeme]) -> Vec<TokenWithSpan> {
    tokens.iter().map(|t| t.token.clone()).collect()
}
