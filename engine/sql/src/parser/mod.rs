//! Statements: what sqlparser lacks of Flink's SQL, and the split of a file.

pub(crate) mod cursor;
pub(crate) mod ddl;
pub(crate) mod interval;
pub(crate) mod query;
pub(crate) mod types;

use crate::lexer::{Lexeme, Places, tokenize};
use cursor::{Cursor, Name, Parsed};
use ddl::CreateTable;
use query::SelectText;
use sqlparser::tokenizer::Token;
use std::sync::Arc;
use tidewheel_core::{Diagnostic, Diagnostics, SourceText, Span};

/// The suffix EMIT.
#[derive(Debug, Clone)]
pub(crate) struct EmitClause {
    /// ON CHANGE or ON WINDOW CLOSE.
    pub on: EmitOn,
    /// Its place.
    pub span: Span,
}

/// When results are emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EmitOn {
    /// On each change, at most once in `every` microseconds.
    Change {
        /// EVERY INTERVAL.
        every: Option<i64>,
    },
    /// When a window closes.
    WindowClose,
}

/// INSERT INTO … SELECT.
#[derive(Debug, Clone)]
pub(crate) struct Insert {
    /// The table that is written.
    pub table: Name,
    /// The columns named behind it; empty where none are.
    pub columns: Vec<Name>,
    /// The query.
    pub select: SelectText,
    /// EMIT.
    pub emit: Option<EmitClause>,
    /// The statement's tokens from INTO on.
    pub shape: Vec<Token>,
    /// The whole statement.
    pub span: Span,
}

/// CREATE VIEW.
#[derive(Debug, Clone)]
pub(crate) struct CreateView {
    /// Its name.
    pub name: Name,
    /// The names given to its columns; empty where none are.
    pub columns: Vec<Name>,
    /// Its query.
    pub select: SelectText,
    /// The statement's tokens, to compare two statements.
    pub shape: Vec<Token>,
}

/// A statement of a file.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    /// CREATE TABLE.
    Table(Box<CreateTable>),
    /// CREATE VIEW.
    View(Box<CreateView>),
    /// INSERT INTO.
    Insert(Box<Insert>),
    /// A SELECT alone, as an INSERT into a table of no name.
    Select(Box<Insert>),
    /// SET 'key' = 'value'.
    Set(Name, Name),
}

/// Parses a text that may hold SELECTs alone. Its window functions are numbered from far above
/// those of files.
pub(crate) fn parse_with_select(
    source: &Arc<SourceText>,
    errors: &mut Diagnostics,
) -> Vec<Statement> {
    let mut counter = usize::MAX / 2;
    parse(source, &mut counter, errors, true)
}

/// Parses a file. What cannot be parsed goes to `errors`; the statements after it are still read.
pub(crate) fn parse_file(
    source: &Arc<SourceText>,
    counter: &mut usize,
    errors: &mut Diagnostics,
) -> Vec<Statement> {
    parse(source, counter, errors, false)
}

fn parse(
    source: &Arc<SourceText>,
    counter: &mut usize,
    errors: &mut Diagnostics,
    selects: bool,
) -> Vec<Statement> {
    let places = Places::new(source);
    let tokens = match tokenize(&places) {
        Ok(tokens) => tokens,
        Err(error) => {
            errors.push(error);
            return Vec::new();
        }
    };
    let mut statements = Vec::new();
    let mut set_open: Option<Span> = None;
    for part in tokens.split(|t| t.is(&Token::SemiColon)) {
        let mut cursor = Cursor::new(part, &places);
        let begin = cursor.position();
        if cursor.eat_words(&["EXECUTE", "STATEMENT", "SET", "BEGIN"])
            || cursor.eat_words(&["EXECUTE", "STATEMENT", "SET"])
            || cursor.eat_words(&["BEGIN", "STATEMENT", "SET"])
        {
            set_open = Some(cursor.span_from(begin));
        }
        if cursor.at_words(&["END"]) && cursor.rest().len() == 1 {
            if set_open.take().is_none() {
                errors.push(
                    Diagnostic::error("END without a BEGIN", Some(cursor.here()))
                        .with_advice("write EXECUTE STATEMENT SET BEGIN …; END;"),
                );
            }
            continue;
        }
        if cursor.is_done() {
            continue;
        }
        match statement(&mut cursor, counter, errors, selects) {
            Ok(Some(statement)) => statements.push(statement),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    if let Some(span) = set_open {
        errors.push(
            Diagnostic::error("the statement set has no END", Some(span))
                .with_advice("write END; behind its last INSERT"),
        );
    }
    statements
}

fn statement(
    cursor: &mut Cursor<'_>,
    counter: &mut usize,
    notes: &mut Diagnostics,
    selects: bool,
) -> Parsed<Option<Statement>> {
    let from = cursor.position();
    // EXPLAIN may stand before an INSERT: the plan is a command's job, the statement is not run.
    let noted = [
        "EXPLAIN", "DESCRIBE", "DESC", "SHOW", "USE", "DROP", "RESET",
    ];
    if let Some(word) = noted.into_iter().find(|word| cursor.at_words(&[word])) {
        notes.push(ignored(word, cursor.here()));
        return Ok(None);
    }
    if cursor.eat_words(&["CREATE"]) {
        return create(cursor, from, counter).map(Some);
    }
    if cursor.eat_words(&["INSERT"]) {
        return insert(cursor, from, counter)
            .map(|insert| Some(Statement::Insert(Box::new(insert))));
    }
    if cursor.eat_words(&["SET"]) {
        let key = cursor.string("the setting's name in single quotes")?;
        cursor.expect(&Token::Eq)?;
        let value = cursor.string("its value in single quotes")?;
        if !cursor.is_done() {
            return Err(cursor.unexpected("';'"));
        }
        return Ok(Some(Statement::Set(key, value)));
    }
    let selecting = cursor.at_words(&["SELECT"]) || cursor.at_words(&["WITH"]);
    if selecting && selects {
        let select = lone_select(cursor, from, counter)?;
        return Ok(Some(Statement::Select(Box::new(select))));
    }
    if selecting {
        return Err(Diagnostic::error("a SELECT alone writes nowhere", Some(cursor.here()))
            .with_advice("write INSERT INTO a_table SELECT …; a table with 'connector' = 'print' shows its rows"));
    }
    Err(cursor.unexpected("a statement").with_advice(
        "the statements are CREATE TABLE, CREATE VIEW, INSERT INTO … SELECT, \
         EXECUTE STATEMENT SET BEGIN … END, and SET",
    ))
}

fn ignored(word: &str, span: Span) -> Diagnostic {
    let advice = match word {
        "EXPLAIN" => "the command `tidewheel explain` shows the plan of every query",
        "DROP" => "a folder of files is the catalogue: to drop a table or view, delete its CREATE",
        "USE" => "there is one catalogue, the folder",
        _ => "the command `tidewheel check` lists what a folder holds",
    };
    Diagnostic::warning(
        format!("{word} does nothing in a file and is skipped"),
        Some(span),
    )
    .with_advice(advice)
}

fn create(cursor: &mut Cursor<'_>, from: usize, counter: &mut usize) -> Parsed<Statement> {
    cursor.eat_words(&["TEMPORARY"]);
    if cursor.eat_words(&["TABLE"]) {
        return ddl::create_table(cursor).map(|table| Statement::Table(Box::new(table)));
    }
    if cursor.eat_words(&["VIEW"]) {
        return create_view(cursor, counter).map(|view| Statement::View(Box::new(view)));
    }
    let found = cursor
        .peek()
        .map_or(String::new(), |t| t.token.token.to_string());
    Err(Diagnostic::error(
        format!("CREATE {found} is not served"),
        Some({
            cursor.next();
            cursor.span_from(from)
        }),
    )
    .with_advice("write CREATE TABLE or CREATE VIEW"))
}

fn create_view(cursor: &mut Cursor<'_>, counter: &mut usize) -> Parsed<CreateView> {
    let shape = cursor
        .rest()
        .iter()
        .map(|t| t.token.token.clone())
        .collect();
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.qualified_name("a view's name")?;
    let columns = if cursor.peek().is_some_and(|t| t.is(&Token::LParen)) {
        cursor.names_in_parentheses("a column's name")?
    } else {
        Vec::new()
    };
    if cursor.eat_words(&["COMMENT"]) {
        cursor.string("a comment in quotes")?;
    }
    cursor.expect_words(&["AS"])?;
    let select = query::select(cursor.rest(), cursor.places(), counter)?;
    Ok(CreateView {
        name,
        columns,
        select,
        shape,
    })
}

fn insert(cursor: &mut Cursor<'_>, from: usize, counter: &mut usize) -> Parsed<Insert> {
    if cursor.at_words(&["OVERWRITE"]) {
        return Err(
            Diagnostic::error("INSERT OVERWRITE is not served", Some(cursor.here()))
                .with_advice("write INSERT INTO: a keyed table holds the newest value of each key"),
        );
    }
    let shape = cursor
        .rest()
        .iter()
        .map(|t| t.token.token.clone())
        .collect();
    let statement = cursor.span_between(from, cursor.position() + cursor.rest().len());
    cursor.expect_words(&["INTO"])?;
    cursor.eat_words(&["TABLE"]);
    let table = cursor.qualified_name("the table to write")?;
    let lists_columns = cursor.peek().is_some_and(|t| t.is(&Token::LParen))
        && !cursor
            .peek_at(1)
            .is_some_and(|t| t.is_word("SELECT") || t.is_word("WITH") || t.is(&Token::LParen));
    let columns = if lists_columns {
        cursor.names_in_parentheses("a column's name")?
    } else {
        Vec::new()
    };
    if cursor.at_words(&["VALUES"]) {
        return Err(
            Diagnostic::error("INSERT … VALUES is not served", Some(cursor.here()))
                .with_advice("write INSERT INTO … SELECT … FROM a table"),
        );
    }
    let (select, emit) = select_and_emit(cursor, counter)?;
    Ok(Insert {
        table,
        columns,
        select,
        emit,
        shape,
        span: statement,
    })
}

fn lone_select(cursor: &mut Cursor<'_>, from: usize, counter: &mut usize) -> Parsed<Insert> {
    let shape = cursor
        .rest()
        .iter()
        .map(|t| t.token.token.clone())
        .collect();
    let span = cursor.span_between(from, cursor.position() + cursor.rest().len());
    let (select, emit) = select_and_emit(cursor, counter)?;
    Ok(Insert {
        table: Name {
            value: String::new(),
            span: span.clone(),
        },
        columns: Vec::new(),
        select,
        emit,
        shape,
        span,
    })
}

fn select_and_emit(
    cursor: &mut Cursor<'_>,
    counter: &mut usize,
) -> Parsed<(SelectText, Option<EmitClause>)> {
    let begin = cursor.position();
    let emit_at = emit_position(cursor.rest()).map(|n| begin + n);
    let emit = match emit_at {
        Some(at) => {
            cursor.seek(at);
            Some(emit(cursor)?)
        }
        None => None,
    };
    let tokens = match emit_at {
        Some(at) => cursor.slice(begin, at),
        None => cursor.rest(),
    };
    if tokens.is_empty() {
        return Err(cursor.unexpected("SELECT"));
    }
    let select = query::select(tokens, cursor.places(), counter)?;
    Ok((select, emit))
}

/// Where the suffix EMIT begins: outside parentheses, followed by ON.
fn emit_position(tokens: &[Lexeme]) -> Option<usize> {
    let mut depth = 0_i32;
    let mut found = None;
    for (n, token) in tokens.iter().enumerate() {
        match token.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        let followed = tokens
            .get(n + 1)
            .is_some_and(|t| t.is_word("ON") || t.is_word("CHANGES"));
        if depth == 0 && token.is_word("EMIT") && followed {
            found = Some(n);
        }
    }
    found
}

fn emit(cursor: &mut Cursor<'_>) -> Parsed<EmitClause> {
    let from = cursor.position();
    let advice = "write EMIT ON CHANGE, EMIT ON CHANGE EVERY INTERVAL '10' SECOND, or \
                  EMIT ON WINDOW CLOSE";
    cursor.next();
    let on = if cursor.eat_words(&["ON", "CHANGE"]) {
        let every = if cursor.eat_words(&["EVERY"]) {
            Some(interval::interval(
                cursor,
                "the time between two writes",
                false,
            )?)
        } else {
            None
        };
        EmitOn::Change { every }
    } else if cursor.eat_words(&["ON", "WINDOW", "CLOSE"]) {
        EmitOn::WindowClose
    } else {
        return Err(cursor
            .unexpected("ON CHANGE or ON WINDOW CLOSE")
            .with_advice(advice));
    };
    if !cursor.is_done() {
        return Err(cursor.unexpected("';'").with_advice(advice));
    }
    Ok(EmitClause {
        on,
        span: cursor.span_from(from),
    })
}
