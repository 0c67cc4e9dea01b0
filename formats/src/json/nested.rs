//! Members of objects and items of arrays, for ROW, ARRAY and MAP columns: a plain scan of the
//! value's own bytes, strict in everything.

use super::value::{Fault, Kind, Slot, scalar, skip_space};
use super::walk::NESTING_MAX;

/// Takes a member: its key between the quotes, and its value.
type EachMember<'a> = dyn FnMut(&[u8], Slot) -> Result<(), Fault> + 'a;

/// Calls `each` with every member of an object: the key between its quotes, and the value.
pub(crate) fn members(
    bytes: &[u8],
    mut each: impl FnMut(&[u8], Slot) -> Result<(), Fault>,
) -> Result<(), Fault> {
    object(bytes, 0, 0, &mut each).map(|_| ())
}

/// Calls `each` with every item of an array.
pub(crate) fn items(bytes: &[u8], mut each: impl FnMut(Slot)) -> Result<(), Fault> {
    array(bytes, 0, 0, &mut each).map(|_| ())
}

/// Reads the object at `at`; returns the place behind it.
fn object(
    bytes: &[u8],
    at: usize,
    depth: usize,
    each: &mut EachMember<'_>,
) -> Result<usize, Fault> {
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        if bytes.get(at) != Some(&b'"') {
            return Err(Fault::Key);
        }
        let end = string_end(bytes, at + 1)?;
        let key = bytes.get(at + 1..end).unwrap_or_default();
        at = skip_space(bytes, end + 1);
        if bytes.get(at) != Some(&b':') {
            return Err(Fault::Colon);
        }
        let (slot, end) = value(bytes, skip_space(bytes, at + 1), depth)?;
        each(key, slot)?;
        at = skip_space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(Fault::Comma),
        }
    }
}

/// Reads the array at `at`; returns the place behind it.
fn array(
    bytes: &[u8],
    at: usize,
    depth: usize,
    each: &mut dyn FnMut(Slot),
) -> Result<usize, Fault> {
    let mut at = skip_space(bytes, at + 1);
    if bytes.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        let (slot, end) = value(bytes, at, depth)?;
        each(slot);
        at = skip_space(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_space(bytes, at + 1),
            Some(b']') => return Ok(at + 1),
            _ => return Err(Fault::Comma),
        }
    }
}

/// Reads the value at `at`; returns it and the place behind it.
fn value(bytes: &[u8], at: usize, depth: usize) -> Result<(Slot, usize), Fault> {
    if depth >= NESTING_MAX {
        return Err(Fault::TooDeep);
    }
    let slot = |kind, start: usize, end: usize, next| {
        (
            Slot {
                kind,
                start: start as u32,
                end: end as u32,
            },
            next,
        )
    };
    Ok(match bytes.get(at) {
        Some(b'"') => {
            let end = string_end(bytes, at + 1)?;
            slot(Kind::Text, at + 1, end, end + 1)
        }
        Some(b'{') => {
            let end = object(bytes, at, depth + 1, &mut |_, _| Ok(()))?;
            slot(Kind::Object, at, end, end)
        }
        Some(b'[') => {
            let end = array(bytes, at, depth + 1, &mut |_| {})?;
            slot(Kind::Array, at, end, end)
        }
        _ => {
            let (kind, end) = scalar(bytes, at)?;
            slot(kind, at, end, end)
        }
    })
}

/// The closing quote of the string whose text begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let hit = at + memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::OpenString)?;
        if bytes.get(hit) == Some(&b'"') {
            return Ok(hit);
        }
        at = hit + 2;
    }
}
