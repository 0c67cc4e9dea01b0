//! The second stage: from key to key of the objects that hold something wanted, over the rest by
//! bracket or quote.

use super::index::Index;
use super::paths::Paths;
use super::text::unescape;
use super::value::{Fault, Kind, Slot, scalar, skip_space};

/// Most brackets that may be open at once; a record with more is a bad row.
pub const NESTING_MAX: usize = 128;

/// Finds the wanted values of one record.
pub(crate) struct Walk<'a> {
    /// The record.
    pub(crate) bytes: &'a [u8],
    /// Its masks.
    pub(crate) index: &'a Index,
    /// What is wanted.
    pub(crate) paths: &'a Paths,
    /// Where it was found; all absent at the start.
    pub(crate) slots: &'a mut [Slot],
    /// How many brackets are open.
    pub(crate) depth: usize,
}

impl Walk<'_> {
    /// Walks the whole record.
    pub(crate) fn record(&mut self) -> Result<(), Fault> {
        if self.index.open_string {
            return Err(Fault::OpenString);
        }
        if self.index.control {
            return Err(Fault::ControlCharacter);
        }
        let at = skip_space(self.bytes, 0);
        if self.byte(at) != b'{' {
            return Err(Fault::NotAnObject);
        }
        let at = self.object(0, at)?;
        if skip_space(self.bytes, at) < self.bytes.len() {
            Err(Fault::Trailing)
        } else {
            Ok(())
        }
    }

    /// Walks the items of the array that begins at `at`: `each` gets the slots of every item that is
    /// an object. Other items are passed over.
    pub(crate) fn items(
        &mut self,
        at: usize,
        mut each: impl FnMut(&[Slot]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.depth += 1;
        let mut at = skip_space(self.bytes, at + 1);
        if self.byte(at) == b']' {
            return Ok(());
        }
        loop {
            self.slots.fill(Slot::default());
            at = if self.byte(at) == b'{' {
                let end = self.object(0, at)?;
                each(self.slots)?;
                end
            } else {
                self.pass_over(at)?
            };
            at = skip_space(self.bytes, at);
            match self.byte(at) {
                b',' => at = skip_space(self.bytes, at + 1),
                b']' => return Ok(()),
                _ => return Err(self.missing(at, Fault::Comma)),
            }
        }
    }

    /// The byte at `at`; 0, which no JSON holds there, behind the end.
    #[inline(always)]
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Walks the object that begins at `at` and returns the place behind it.
    fn object(&mut self, node: usize, at: usize) -> Result<usize, Fault> {
        if self.depth >= NESTING_MAX {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        let paths = self.paths;
        let node = paths.node(node);
        let mut at = skip_space(self.bytes, at + 1);
        if self.byte(at) == b'}' {
            self.depth -= 1;
            return Ok(at + 1);
        }
        loop {
            if self.byte(at) != b'"' {
                return Err(self.missing(at, Fault::Key));
            }
            let start = at + 1;
            let end = self.index.next_quote(start).ok_or(Fault::OpenString)?;
            let mut child = node.child(self.bytes, start, end);
            if self.index.backslash && (child.is_none() || node.odd_keys) {
                child = self.escaped_child(node, start, end)?;
            }
            at = skip_space(self.bytes, end + 1);
            if self.byte(at) != b':' {
                return Err(self.missing(at, Fault::Colon));
            }
            at = skip_space(self.bytes, at + 1);
            at = match child {
                Some(child) => self.wanted(child, at)?,
                None => self.pass_over(at)?,
            };
            at = skip_space(self.bytes, at);
            match self.byte(at) {
                b',' => at = skip_space(self.bytes, at + 1),
                b'}' => {
                    self.depth -= 1;
                    return Ok(at + 1);
                }
                _ => return Err(self.missing(at, Fault::Comma)),
            }
        }
    }

    /// As `Node::child`, for a record that has escapes somewhere, maybe in this key.
    fn escaped_child(
        &self,
        node: &super::paths::Node,
        start: usize,
        end: usize,
    ) -> Result<Option<usize>, Fault> {
        let key = self.bytes.get(start..end).unwrap_or_default();
        if !key.contains(&b'\\') {
            return Ok(node.child(self.bytes, start, end));
        }
        let mut plain = Vec::with_capacity(key.len());
        unescape(key, &mut plain)?;
        Ok(node.child(&plain, 0, plain.len()))
    }

    /// Notes a wanted value, walks into it where something inside is wanted, and returns the
    /// place behind it.
    #[inline]
    fn wanted(&mut self, child: usize, at: usize) -> Result<usize, Fault> {
        let paths = self.paths;
        let node = paths.node(child);
        // Of a key that comes twice the last one counts, so what the first one held is forgotten.
        if node.has_children()
            && let Some(slots) = self.slots.get_mut(node.inside.clone())
        {
            slots.fill(Slot::default());
        }
        let (kind, start, end, next) = match self.byte(at) {
            b'"' => {
                let end = self.index.next_quote(at + 1).ok_or(Fault::OpenString)?;
                (Kind::Text, at + 1, end, end + 1)
            }
            b'{' if node.has_children() => {
                let end = self.object(child, at)?;
                (Kind::Object, at, end, end)
            }
            open @ (b'{' | b'[') => {
                let end = self.container(at)?;
                (
                    if open == b'{' {
                        Kind::Object
                    } else {
                        Kind::Array
                    },
                    at,
                    end,
                    end,
                )
            }
            _ => {
                let (kind, end) = scalar(self.bytes, at)?;
                (kind, at, end, end)
            }
        };
        if let Some(slot) = node.slot.and_then(|slot| self.slots.get_mut(slot)) {
            *slot = Slot {
                kind,
                start: start as u32,
                end: end as u32,
            };
        }
        Ok(next)
    }

    /// The place behind a value that nobody wants.
    #[inline]
    fn pass_over(&mut self, at: usize) -> Result<usize, Fault> {
        match self.byte(at) {
            b'"' => Ok(self.index.next_quote(at + 1).ok_or(Fault::OpenString)? + 1),
            b'{' | b'[' => self.container(at),
            _ => Ok(scalar(self.bytes, at)?.1),
        }
    }

    /// The place behind the object or array that begins at `at`: its brackets must match in kind.
    fn container(&mut self, at: usize) -> Result<usize, Fault> {
        // One bit for each open bracket: 1 for an array.
        let mut open: u128 = 0;
        let mut depth = 0;
        let mut next = at;
        loop {
            let at = self.index.next_bracket(next).ok_or(Fault::Truncated)?;
            let byte = self.byte(at);
            let array = u128::from(byte & 0x20 == 0);
            match byte {
                b'{' | b'[' => {
                    depth += 1;
                    if self.depth + depth > NESTING_MAX {
                        return Err(Fault::TooDeep);
                    }
                    open = open << 1 | array;
                }
                b'}' | b']' => {
                    if open & 1 != array {
                        return Err(Fault::Brackets);
                    }
                    open >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        return Ok(at + 1);
                    }
                }
                _ => return Err(Fault::Literal),
            }
            next = at + 1;
        }
    }

    /// The fault at `at`: that the record ends there, if it does.
    #[cold]
    fn missing(&self, at: usize, fault: Fault) -> Fault {
        if at >= self.bytes.len() {
            Fault::Truncated
        } else {
            fault
        }
    }
}
