//! A value as it stands in a record, and what can be wrong with one.

/// What kind of value stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// No such key.
    #[default]
    Absent,
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// A value and its bytes: those between the quotes for a string, else all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// False when there is surely no backslash in it.
    pub(crate) escapes: bool,
}

impl<'a> Value<'a> {
    /// A string's text or a scalar's bytes; `scratch` takes it where escapes must be replaced.
    #[inline]
    pub(crate) fn plain<'s>(&self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Fault>
    where
        'a: 's,
    {
        if self.kind == Kind::Text && self.escapes && self.bytes.contains(&b'\\') {
            scratch.clear();
            super::text::unescape(self.bytes, scratch)?;
            return Ok(scratch);
        }
        Ok(self.bytes)
    }
}

/// A value that its column cannot hold; the column has taken a NULL for it, or for a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Its type or range is another.
    Type,
    /// A field of a ROW is absent, where that is not allowed.
    Missing,
    /// It is no JSON.
    Json(Fault),
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Json(fault)
    }
}

/// Where a value stands in a text; the bytes of a string are those between its quotes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Slot {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its first byte.
    pub(crate) start: u32,
    /// The byte behind its last.
    pub(crate) end: u32,
}

impl Slot {
    /// The value in the text that the slot was made from.
    #[inline]
    pub(crate) fn value<'a>(&self, text: &'a [u8], escapes: bool) -> Value<'a> {
        let bytes = text
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default();
        Value {
            kind: self.kind,
            bytes,
            escapes,
        }
    }
}

/// Why a record is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Utf8,
    OpenString,
    ControlCharacter,
    NotAnObject,
    Truncated,
    Brackets,
    TooDeep,
    Key,
    Colon,
    Comma,
    Literal,
    Number,
    Escape,
    Trailing,
}

impl Fault {
    /// The reason in words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Utf8 => "not UTF-8",
            Self::OpenString => "malformed JSON: a string is not closed",
            Self::ControlCharacter => "malformed JSON: a control character",
            Self::NotAnObject => "not a JSON object",
            Self::Truncated => "malformed JSON: the record ends early",
            Self::Brackets => "malformed JSON: brackets do not match",
            Self::TooDeep => "nested too deep",
            Self::Key => "malformed JSON: a key is missing",
            Self::Colon => "malformed JSON: a colon is missing",
            Self::Comma => "malformed JSON: a comma or bracket is missing",
            Self::Literal => "malformed JSON: not a value",
            Self::Number => "malformed JSON: not a number",
            Self::Escape => "malformed JSON: a wrong escape in a string",
            Self::Trailing => "malformed JSON: text after the object",
        }
    }
}

/// Passes over white space.
#[inline(always)]
pub(crate) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Reads `true`, `false`, `null` or a number at `at`; returns its kind and end.
#[inline]
pub(crate) fn scalar(bytes: &[u8], at: usize) -> Result<(Kind, usize), Fault> {
    let rest = bytes.get(at..).unwrap_or_default();
    let (word, kind): (&[u8], Kind) = match rest.first() {
        None => return Err(Fault::Truncated),
        Some(b't') => (b"true", Kind::True),
        Some(b'f') => (b"false", Kind::False),
        Some(b'n') => (b"null", Kind::Null),
        Some(b'-' | b'0'..=b'9') => {
            let end = super::number::scan(rest).ok_or(Fault::Number)?;
            return Ok((Kind::Number, at + end));
        }
        Some(_) => return Err(Fault::Literal),
    };
    if rest.starts_with(word) {
        Ok((kind, at + word.len()))
    } else {
        Err(Fault::Literal)
    }
}
