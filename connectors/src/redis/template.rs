//! Key templates: `user:{user_key}:{column}_5m`.

use arrow::array::RecordBatch;
use tidewheel_core::text::write_value;

/// The placeholder for the name of the value column.
const COLUMN: &str = "column";

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text as it stands.
    Text(String),
    /// A key column's value: its index in the table's schema, or in a batch once resolved.
    Key(usize),
    /// The name of the value column.
    Column,
}

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) pieces: Vec<Piece>,
}

impl Template {
    /// Takes a template apart. `keys` are the columns that may stand in it: name and index.
    /// `{{` and `}}` stand for single braces.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write.
    pub(crate) fn parse(text: &str, keys: &[(&str, usize)]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(format!(
                    "in '{text}' a '}}' has no '{{'; write '}}}}' for a brace"
                ));
            }
            let end = rest.find('}').ok_or_else(|| {
                format!("in '{text}' a '{{' is not closed; write '{{{{' for a brace")
            })?;
            let name = &rest[..end];
            rest = &rest[end + 1..];
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(placeholder(text, name, keys)?);
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if pieces.is_empty() {
            return Err("the key is empty; write a template such as 'user:{user_key}'".to_owned());
        }
        Ok(Self { pieces })
    }

    /// True when `{column}` stands in it.
    pub(crate) fn has_column(&self) -> bool {
        self.pieces.contains(&Piece::Column)
    }

    /// True when the key column with that index stands in it.
    pub(crate) fn has_key(&self, index: usize) -> bool {
        self.pieces.contains(&Piece::Key(index))
    }

    /// True when no key column stands in it.
    pub(crate) fn is_constant(&self) -> bool {
        !self
            .pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Key(_)))
    }

    /// The same template with the indices of the schema's columns turned into those of a batch's.
    /// `columns` gives the schema's index of each column of the batch. `None` when a key column
    /// is not in the batch.
    pub(crate) fn resolve(&self, columns: &[usize]) -> Option<Self> {
        let piece = |piece: &Piece| match piece {
            Piece::Key(index) => columns.iter().position(|c| c == index).map(Piece::Key),
            other => Some(other.clone()),
        };
        self.pieces
            .iter()
            .map(piece)
            .collect::<Option<_>>()
            .map(|pieces| Self { pieces })
    }

    /// Appends the key of a row (of a resolved template) for a value column's name. Returns
    /// false, with the text in part, when a key column is NULL.
    pub(crate) fn render(
        &self,
        out: &mut String,
        rows: &RecordBatch,
        row: usize,
        column: &str,
    ) -> bool {
        self.pieces.iter().all(|piece| {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Column => out.push_str(column),
                Piece::Key(index) => return write_value(out, rows.column(*index).as_ref(), row),
            }
            true
        })
    }
}

fn placeholder(text: &str, name: &str, keys: &[(&str, usize)]) -> Result<Piece, String> {
    if name == COLUMN {
        return Ok(Piece::Column);
    }
    if let Some((_, index)) = keys.iter().find(|(key, _)| *key == name) {
        return Ok(Piece::Key(*index));
    }
    let mut known: Vec<String> = keys.iter().map(|(key, _)| format!("{{{key}}}")).collect();
    known.push(format!("{{{COLUMN}}}"));
    Err(format!(
        "'{{{name}}}' in '{text}' is no PRIMARY KEY column; write one of {}, or '{{{{' for a brace",
        known.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[(&str, usize)] = &[("user_key", 0), ("window_start", 3)];

    #[test]
    fn placeholders_texts_and_braces() {
        let template = Template::parse("user:{user_key}:{column}_5m", KEYS).expect("parses");
        assert_eq!(
            template.pieces,
            [
                Piece::Text("user:".into()),
                Piece::Key(0),
                Piece::Text(":".into()),
                Piece::Column,
                Piece::Text("_5m".into())
            ]
        );
        let braces = Template::parse("{{{user_key}}}-{{x}}", KEYS).expect("parses");
        assert_eq!(
            braces.pieces,
            [
                Piece::Text("{".into()),
                Piece::Key(0),
                Piece::Text("}-{x}".into())
            ]
        );
        let constant = Template::parse("shop:trending", KEYS).expect("parses");
        assert!(constant.is_constant() && !constant.has_column());
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, part) in [
            ("user:{usr}", "{user_key}, {window_start}, {column}"),
            ("user:{user_key", "is not closed"),
            ("user}", "'}}'"),
            ("", "empty"),
            ("{}", "'{}'"),
        ] {
            let error = Template::parse(text, KEYS).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
