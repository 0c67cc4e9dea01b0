//! The first stage: where a record's strings begin and end and where its brackets are.
//!
//! One pass over 64-byte blocks gives two bit masks a block, after Langdale and Lemire, "Parsing
//! gigabytes of JSON per second" (VLDB Journal 2019). Commas and colons are left out: the walk
//! meets those it needs right behind a value or a key, and passes over the others by bracket.
//! The same pass finds what makes the whole record bad, or lets later stages take short cuts: an
//! open string, control characters, backslashes, bytes beyond ASCII.

use wide::u8x16;

/// Bytes a block: one bit each in a mask.
const BLOCK: usize = 64;

/// The masks of one block.
#[derive(Debug, Clone, Copy, Default)]
struct Masks {
    /// Quotes that begin or end a string.
    quotes: u64,
    /// `{`, `}`, `[`, `]` outside strings. A few letters that no JSON has there (`Y`, `_`, `y`,
    /// DEL) are in it too; who looks at a bit looks at its byte.
    brackets: u64,
}

/// What the first stage knows of a record.
#[derive(Debug, Default)]
pub(crate) struct Index {
    masks: Vec<Masks>,
    blocks: usize,
    /// A string is not closed.
    pub(crate) open_string: bool,
    /// A control character stands in a string, or one that is no white space outside.
    pub(crate) control: bool,
    /// There is a backslash somewhere.
    pub(crate) backslash: bool,
    /// There is a byte beyond ASCII somewhere.
    pub(crate) non_ascii: bool,
}

/// What one block tells the next.
#[derive(Default)]
struct Carry {
    /// All ones within a string.
    in_string: u64,
    /// Bit 0 is set when the next byte is escaped.
    escaped: u64,
}

impl Index {
    /// Indexes a record, forgetting the one before.
    pub(crate) fn build(&mut self, record: &[u8]) {
        let (blocks, rest) = record.as_chunks::<BLOCK>();
        self.blocks = blocks.len() + usize::from(!rest.is_empty());
        if self.masks.len() < self.blocks {
            self.masks.resize(self.blocks, Masks::default());
        }
        let mut carry = Carry::default();
        let mut found = Found::default();
        for (block, masks) in blocks.iter().zip(&mut self.masks) {
            *masks = index_block(block, &mut carry, &mut found);
        }
        if !rest.is_empty() {
            let mut block = [b' '; BLOCK];
            for (to, from) in block.iter_mut().zip(rest) {
                *to = *from;
            }
            if let Some(masks) = self.masks.get_mut(blocks.len()) {
                *masks = index_block(&block, &mut carry, &mut found);
            }
        }
        self.open_string = carry.in_string != 0;
        self.control = found.control;
        self.backslash = found.backslash;
        self.non_ascii = found.high.to_bitmask() != 0;
    }

    /// The first quote at or behind `at`: the end of the string when `at` is inside one.
    #[inline]
    pub(crate) fn next_quote(&self, at: usize) -> Option<usize> {
        self.next(at, |masks| masks.quotes)
    }

    /// The first bracket outside strings at or behind `at`.
    #[inline]
    pub(crate) fn next_bracket(&self, at: usize) -> Option<usize> {
        self.next(at, |masks| masks.brackets)
    }

    #[inline(always)]
    fn next(&self, at: usize, mask: impl Fn(&Masks) -> u64) -> Option<usize> {
        let mut block = at / BLOCK;
        let masks = self.masks.get(..self.blocks)?;
        let mut bits = mask(masks.get(block)?) & (!0 << (at % BLOCK));
        while bits == 0 {
            block += 1;
            bits = mask(masks.get(block)?);
        }
        Some(block * BLOCK + bits.trailing_zeros() as usize)
    }
}

/// What a record's blocks have in common.
#[derive(Default)]
struct Found {
    control: bool,
    backslash: bool,
    high: u8x16,
}

#[inline(always)]
fn index_block(block: &[u8; BLOCK], carry: &mut Carry, found: &mut Found) -> Masks {
    let v = lanes(block);
    let mut quotes = mask(v.map(|x| x.simd_eq(u8x16::splat(b'"'))));

    let backslashes = v.map(|x| x.simd_eq(u8x16::splat(b'\\')));
    let any_backslash = (backslashes[0] | backslashes[1]) | (backslashes[2] | backslashes[3]);
    if (any_backslash.to_bitmask() as u64 | carry.escaped) != 0 {
        found.backslash = true;
        quotes &= !escaped(mask(backslashes), carry);
    }

    let in_string = prefix_xor(quotes) ^ carry.in_string;
    carry.in_string = ((in_string as i64) >> 63) as u64;

    // One comparison for all four: they are the bytes outside strings that hold all bits of 0x59.
    let brackets = mask(v.map(|x| (x | u8x16::splat(0x26)).simd_eq(u8x16::splat(0x7f))));

    found.high |= (v[0] | v[1]) | (v[2] | v[3]);
    let low = v[0].min(v[1]).min(v[2].min(v[3]));
    if low.min(u8x16::splat(0x1f)).simd_eq(low).to_bitmask() != 0 {
        found.control |= has_control(block, in_string);
    }
    Masks {
        quotes,
        brackets: brackets & !in_string,
    }
}

#[inline(always)]
fn lanes(block: &[u8; BLOCK]) -> [u8x16; 4] {
    let (parts, _) = block.as_chunks::<16>();
    [0, 1, 2, 3].map(|i| u8x16::new(parts[i]))
}

#[inline(always)]
fn mask(lanes: [u8x16; 4]) -> u64 {
    let bits = lanes.map(|x| u64::from(x.to_bitmask()));
    bits[0] | bits[1] << 16 | bits[2] << 32 | bits[3] << 48
}

/// For each bit, the parity of the bits up to it: ones from an opening quote to just before the
/// closing one.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    bits ^= bits << 1;
    bits ^= bits << 2;
    bits ^= bits << 4;
    bits ^= bits << 8;
    bits ^= bits << 16;
    bits ^ bits << 32
}

/// The bytes that a backslash before them escapes. Backslashes are rare, so one by one.
#[cold]
fn escaped(mut backslashes: u64, carry: &mut Carry) -> u64 {
    let mut escaped = carry.escaped;
    carry.escaped = 0;
    while backslashes != 0 {
        let at = backslashes.trailing_zeros();
        if escaped >> at & 1 == 0 {
            if at == 63 {
                carry.escaped = 1;
            } else {
                escaped |= 2 << at;
            }
        }
        backslashes &= backslashes - 1;
    }
    escaped
}

#[cold]
fn has_control(block: &[u8; BLOCK], in_string: u64) -> bool {
    block.iter().enumerate().any(|(i, byte)| {
        *byte < 0x20 && (in_string >> i & 1 == 1 || !matches!(byte, b'\t' | b'\n' | b'\r'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, a byte at a time.
    fn naive(record: &[u8]) -> (Vec<usize>, Vec<usize>, bool) {
        let (mut quotes, mut brackets) = (Vec::new(), Vec::new());
        let (mut inside, mut escape) = (false, false);
        for (at, byte) in record.iter().enumerate() {
            let escaped = std::mem::take(&mut escape);
            match byte {
                b'\\' if !escaped => escape = true,
                b'"' if !escaped => {
                    quotes.push(at);
                    inside = !inside;
                }
                b'{' | b'}' | b'[' | b']' if !inside => brackets.push(at),
                _ => {}
            }
        }
        (quotes, brackets, inside)
    }

    fn all(next: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(hit) = next(at) {
            found.push(hit);
            at = hit + 1;
        }
        found
    }

    proptest! {
        #[test]
        fn masks_are_those_of_a_byte_wise_scan(
            bytes in proptest::collection::vec(
                prop_oneof![
                    Just(b'"'), Just(b'\\'), Just(b'{'), Just(b']'), Just(b'['), Just(b'}'),
                    Just(b' '), Just(b'a'), Just(b','), Just(0xc3)
                ],
                0..400,
            )
        ) {
            let mut index = Index::default();
            // A longer record before must leave nothing behind.
            index.build(&[b'"'; 999]);
            index.build(&bytes);
            let (quotes, brackets, open) = naive(&bytes);
            prop_assert_eq!(all(|at| index.next_quote(at)), quotes);
            prop_assert_eq!(all(|at| index.next_bracket(at)), brackets);
            prop_assert_eq!(index.open_string, open);
            prop_assert_eq!(index.non_ascii, !bytes.is_ascii());
            prop_assert_eq!(index.backslash, bytes.contains(&b'\\'));
        }
    }
}
