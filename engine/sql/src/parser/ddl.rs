//! CREATE TABLE.

use super::cursor::{Cursor, Name, Parsed, Spanned};
use super::query::expression;
use super::types::data_type;
use arrow::datatypes::DataType;
use sqlparser::ast;
use sqlparser::tokenizer::Token;
use tidewheel_core::{Diagnostic, Span};

/// A column of a CREATE TABLE.
#[derive(Debug, Clone)]
pub(crate) struct ColumnDef {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ColumnKind,
}

/// What a column is.
#[derive(Debug, Clone)]
pub(crate) enum ColumnKind {
    /// A field of the records.
    Physical(DataType),
    /// `AS expr`.
    Computed(Box<Spanned<ast::Expr>>),
    /// `METADATA [FROM 'key'] [VIRTUAL]`.
    Metadata {
        /// Its type.
        data_type: DataType,
        /// The key, the column's name where FROM is absent.
        key: Name,
    },
}

/// A CREATE TABLE.
#[derive(Debug, Clone)]
pub(crate) struct CreateTable {
    /// The table's name.
    pub name: Name,
    /// Its columns.
    pub columns: Vec<ColumnDef>,
    /// `WATERMARK FOR column AS expr`.
    pub watermark: Option<(Name, Box<Spanned<ast::Expr>>)>,
    /// `PRIMARY KEY (…)`.
    pub primary_key: Vec<Name>,
    /// `WITH (…)`, as written.
    pub options: Vec<(Name, Name)>,
    /// The statement's tokens, to compare two statements.
    pub shape: Vec<Token>,
    /// How many of them stand before the WITH clause.
    pub options_at: usize,
    /// The places of its text.
    pub places: crate::lexer::Places,
}

/// Parses from behind `CREATE [TEMPORARY] TABLE`.
pub(crate) fn create_table(cursor: &mut Cursor<'_>) -> Parsed<CreateTable> {
    let from = cursor.position();
    let tokens = cursor.rest();
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.qualified_name("a table's name")?;
    let shape = tokens.iter().map(|t| canonical(&t.token.token)).collect();
    let mut table = CreateTable {
        name,
        columns: Vec::new(),
        watermark: None,
        primary_key: Vec::new(),
        options: Vec::new(),
        shape,
        options_at: tokens.len(),
        places: cursor.places().clone(),
    };
    if cursor.peek().is_some_and(|t| t.is(&Token::LParen)) {
        columns(cursor, &mut table)?;
    }
    tail(cursor, &mut table, from)?;
    Ok(table)
}

/// Keywords in one case, so that two statements that differ in it are still the same.
fn canonical(token: &Token) -> Token {
    match token {
        Token::Word(word) if word.quote_style.is_some() => Token::make_word(&word.value, None),
        other => other.clone(),
    }
}

fn columns(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Parsed<()> {
    cursor.expect(&Token::LParen)?;
    loop {
        item(cursor, table)?;
        if !cursor.eat(&Token::Comma) {
            break;
        }
    }
    cursor.expect(&Token::RParen).map_err(|e| {
        e.with_advice("columns are `name TYPE`, `name AS expression`, or `name TYPE METADATA`")
    })
}

fn item(cursor: &mut Cursor<'_>, table: &mut CreateTable) -> Parsed<()> {
    if cursor.at_words(&["WATERMARK", "FOR"]) {
        let from = cursor.position();
        cursor.eat_words(&["WATERMARK", "FOR"]);
        let column = cursor.name("the time column")?;
        cursor.expect_words(&["AS"])?;
        let expr = spanned_expression(cursor, &[])?;
        if table.watermark.is_some() {
            return Err(Diagnostic::error(
                "a table has one WATERMARK",
                Some(cursor.span_from(from)),
            ));
        }
        table.watermark = Some((column, Box::new(expr)));
        return Ok(());
    }
    if cursor.eat_words(&["CONSTRAINT"]) {
        cursor.name("the constraint's name")?;
    }
    if cursor.at_words(&["PRIMARY", "KEY"])
        && cursor.peek_at(2).is_some_and(|t| t.is(&Token::LParen))
    {
        let from = cursor.position();
        cursor.eat_words(&["PRIMARY", "KEY"]);
        let names = cursor.names_in_parentheses("a key column")?;
        cursor.eat_words(&["NOT", "ENFORCED"]);
        return set_primary_key(table, names, cursor.span_from(from));
    }
    let name = cursor.name("a column's name")?;
    if cursor.eat_words(&["AS"]) {
        let expr = spanned_expression(cursor, &["COMMENT"])?;
        comment(cursor)?;
        table.columns.push(ColumnDef {
            name,
            kind: ColumnKind::Computed(Box::new(expr)),
        });
        return Ok(());
    }
    let data_type = data_type(cursor)?;
    if cursor.eat_words(&["METADATA"]) {
        let key = if cursor.eat_words(&["FROM"]) {
            cursor.string("the metadata's key in quotes")?
        } else {
            name.clone()
        };
        cursor.eat_words(&["VIRTUAL"]);
        comment(cursor)?;
        table.columns.push(ColumnDef {
            name,
            kind: ColumnKind::Metadata { data_type, key },
        });
        return Ok(());
    }
    if cursor.at_words(&["PRIMARY", "KEY"]) {
        let from = cursor.position();
        cursor.eat_words(&["PRIMARY", "KEY"]);
        cursor.eat_words(&["NOT", "ENFORCED"]);
        set_primary_key(table, vec![name.clone()], cursor.span_from(from))?;
    }
    comment(cursor)?;
    table.columns.push(ColumnDef {
        name,
        kind: ColumnKind::Physical(data_type),
    });
    Ok(())
}

fn set_primary_key(table: &mut CreateTable, names: Vec<Name>, span: Span) -> Parsed<()> {
    if !table.primary_key.is_empty() {
        return Err(Diagnostic::error("a table has one PRIMARY KEY", Some(span))
            .with_advice("name all its columns in one: PRIMARY KEY (a, b) NOT ENFORCED"));
    }
    table.primary_key = names;
    Ok(())
}

fn comment(cursor: &mut Cursor<'_>) -> Parsed<()> {
    if cursor.eat_words(&["COMMENT"]) {
        cursor.string("a comment in quotes")?;
    }
    Ok(())
}

fn spanned_expression(cursor: &mut Cursor<'_>, stop: &[&str]) -> Parsed<Spanned<ast::Expr>> {
    let from = cursor.position();
    let tokens = cursor.balanced(stop);
    if tokens.is_empty() {
        return Err(cursor.unexpected("an expression"));
    }
    let value = expression(tokens, cursor.places())?;
    Ok(Spanned {
        value,
        span: cursor.span_from(from),
    })
}

fn tail(cursor: &mut Cursor<'_>, table: &mut CreateTable, from: usize) -> Parsed<()> {
    comment(cursor)?;
    if cursor.at_words(&["PARTITIONED", "BY"]) || cursor.at_words(&["DISTRIBUTED"]) {
        return Err(Diagnostic::error(
            "PARTITIONED BY and DISTRIBUTED are not served",
            Some(cursor.here()),
        )
        .with_advice("leave the clause out"));
    }
    if cursor.at_words(&["LIKE"]) || cursor.at_words(&["AS"]) {
        return Err(Diagnostic::error(
            "CREATE TABLE … LIKE and CREATE TABLE … AS are not served",
            Some(cursor.here()),
        )
        .with_advice("write the columns out, and fill the table with INSERT INTO … SELECT"));
    }
    if cursor.at_words(&["WITH"]) {
        table.options_at = cursor.position() - from;
        cursor.next();
        cursor.expect(&Token::LParen)?;
        while !cursor.peek().is_some_and(|t| t.is(&Token::RParen)) {
            let key = cursor.string("an option's name in single quotes")?;
            cursor.expect(&Token::Eq)?;
            let value = cursor.string("the option's value in single quotes")?;
            if let Some((first, _)) = table.options.iter().find(|(k, _)| k.value == key.value) {
                let (line, _) = first.span.line_column();
                return Err(Diagnostic::error(
                    format!("option '{}' stands twice, first in line {line}", key.value),
                    Some(key.span),
                ));
            }
            table.options.push((key, value));
            if !cursor.eat(&Token::Comma) {
                break;
            }
        }
        cursor.expect(&Token::RParen)?;
    }
    if !cursor.is_done() {
        return Err(cursor.unexpected("';'"));
    }
    Ok(())
}
