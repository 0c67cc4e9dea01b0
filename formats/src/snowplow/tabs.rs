//! Where the fields that are read begin and end.
//!
//! One pass over blocks of 64 bytes gives a mask with a bit for each tab. Tabs before a wanted one
//! are counted, not looked at: most fields are read by nobody. Behind the last wanted field the tabs
//! are only counted.

use wide::u8x16;

/// Fields of an event.
const FIELDS: usize = 131;
/// Bytes a block: one bit each in a mask.
const BLOCK: usize = 64;

/// Finds the wanted fields of events.
#[derive(Debug)]
pub(crate) struct Tabs {
    /// The wanted tabs, counted from 1, ascending.
    marks: Vec<usize>,
    /// Where each of them was found.
    places: Vec<usize>,
    /// For each wanted field, the marks before and behind it; `None` at the event's ends.
    fields: Vec<(Option<usize>, Option<usize>)>,
    length: usize,
}

impl Tabs {
    /// For the fields of these positions, from 0 to 130, each once.
    pub(crate) fn new(fields: &[usize]) -> Self {
        let before = |field: usize| (field > 0).then_some(field);
        let behind = |field: usize| (field + 1 < FIELDS).then_some(field + 1);
        let mut marks: Vec<usize> = fields
            .iter()
            .flat_map(|field| [before(*field), behind(*field)])
            .flatten()
            .collect();
        marks.sort_unstable();
        marks.dedup();
        let index = |tab: usize| marks.binary_search(&tab).ok();
        let fields = fields
            .iter()
            .map(|field| {
                (
                    before(*field).and_then(index),
                    behind(*field).and_then(index),
                )
            })
            .collect();
        Self {
            places: vec![0; marks.len()],
            marks,
            fields,
            length: 0,
        }
    }

    /// Looks an event's tabs up.
    ///
    /// # Errors
    /// How many fields it has, where these are not 131.
    #[inline]
    pub(crate) fn split(&mut self, event: &[u8]) -> Result<(), usize> {
        let (blocks, rest) = event.as_chunks::<BLOCK>();
        let mut seen = 0;
        let mut marks = self.marks.iter().zip(&mut self.places);
        let mut next = marks.next();
        let mut at = 0;
        for block in blocks {
            if next.is_none() {
                break;
            }
            let mut tabs = mask(block);
            let until = seen + tabs.count_ones() as usize;
            while let Some((mark, place)) = &mut next
                && **mark <= until
            {
                // Tabs before the wanted one go, the lowest first.
                while seen + 1 < **mark {
                    tabs &= tabs - 1;
                    seen += 1;
                }
                **place = at + tabs.trailing_zeros() as usize;
                next = marks.next();
            }
            seen = until;
            at += BLOCK;
        }
        // What is left: less than a block, or all that stands behind the last wanted field.
        let tail = event.get(at..).unwrap_or(rest);
        if next.is_none() {
            seen += memchr::memchr_iter(b'\t', tail).count();
        } else {
            for tab in memchr::memchr_iter(b'\t', tail) {
                seen += 1;
                if let Some((mark, place)) = &mut next
                    && **mark == seen
                {
                    **place = at + tab;
                    next = marks.next();
                }
            }
        }
        self.length = event.len();
        if seen + 1 == FIELDS {
            Ok(())
        } else {
            Err(seen + 1)
        }
    }

    /// Where the wanted field of this index begins and ends in the event that was split last.
    #[inline]
    pub(crate) fn field(&self, index: usize) -> (usize, usize) {
        let Some((before, behind)) = self.fields.get(index) else {
            return (0, 0);
        };
        let place = |mark: &usize| self.places.get(*mark).copied();
        let start = before.as_ref().and_then(place).map_or(0, |tab| tab + 1);
        let end = behind.as_ref().and_then(place).unwrap_or(self.length);
        (start, end)
    }
}

/// A bit for each tab of a block.
#[inline(always)]
fn mask(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let tab = u8x16::splat(b'\t');
    let bits = [0, 1, 2, 3].map(|i| u64::from(u8x16::new(parts[i]).simd_eq(tab).to_bitmask()));
    bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn fields_are_those_of_a_plain_split(
            lengths in proptest::collection::vec(
                prop_oneof![4 => 0usize..3, 2 => 0usize..20, 1 => 50usize..200],
                120..140,
            ),
            whole in any::<bool>(),
            mut wanted in proptest::collection::vec(0usize..131, 0..10),
        ) {
            let mut lengths = lengths;
            if whole {
                lengths.resize(131, 1);
            }
            wanted.sort_unstable();
            wanted.dedup();
            wanted.reverse();
            let fields: Vec<String> = lengths
                .iter()
                .enumerate()
                .map(|(n, length)| char::from(b'a' + (n % 26) as u8).to_string().repeat(*length))
                .collect();
            let text = fields.join("\t");
            let mut tabs = Tabs::new(&wanted);
            let split = tabs.split(text.as_bytes());
            if fields.len() == FIELDS {
                prop_assert_eq!(split, Ok(()));
                for (index, field) in wanted.iter().enumerate() {
                    let (start, end) = tabs.field(index);
                    prop_assert_eq!(&text[start..end], &fields[*field]);
                }
            } else {
                prop_assert_eq!(split, Err(fields.len()));
            }
        }
    }
}
