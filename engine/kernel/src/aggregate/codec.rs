//! Reading and writing the saved state of cells.
//!
//! The layout has no version of its own (the checkpoint has): little-endian numbers, and lengths
//! before lists. Reading checks every length against the bytes that are there, so that torn or
//! foreign bytes give an error, never a panic and never an allocation larger than the input.

use super::StateError;
use tidewheel_core::time::Order;

/// A cursor over saved bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn used(&self) -> usize {
        self.at
    }

    /// The bytes that were not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Whether all was read.
    pub fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], StateError> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let Some(end) = end else {
            let have = self.bytes.len() - self.at;
            return Err(StateError(format!("{count} bytes wanted, {have} left")));
        };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// A byte.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn u8(&mut self) -> Result<u8, StateError> {
        Ok(self.array::<1>()?[0])
    }

    /// A byte that is 0 or 1.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn bool(&mut self) -> Result<bool, StateError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(StateError(format!("{other} is neither true nor false"))),
        }
    }

    /// A number, little-endian.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn u32(&mut self) -> Result<u32, StateError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A number, little-endian.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn u64(&mut self) -> Result<u64, StateError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number, little-endian.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn i64(&mut self) -> Result<i64, StateError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// A number, little-endian.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn i128(&mut self) -> Result<i128, StateError> {
        Ok(i128::from_le_bytes(self.array()?))
    }

    /// The bits of a double.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn f64(&mut self) -> Result<f64, StateError> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// A place in the order of rows.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn order(&mut self) -> Result<Order, StateError> {
        Ok(Order {
            time: self.i64()?,
            seq: self.u64()?,
        })
    }

    /// A number of things that take at least `least` bytes each.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn count(&mut self, least: usize) -> Result<usize, StateError> {
        let count = self.u32()? as usize;
        let have = (self.bytes.len() - self.at) / least.max(1);
        if count > have {
            return Err(StateError(format!(
                "a list of {count} where at most {have} fit"
            )));
        }
        Ok(count)
    }

    /// A cursor over bytes that stand behind their length.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn sized(&mut self) -> Result<Self, StateError> {
        Ok(Self::new(self.bytes()?))
    }

    /// Bytes behind their length.
    ///
    /// # Errors
    /// Fewer bytes are left, or they make no sense.
    pub fn bytes(&mut self) -> Result<&'a [u8], StateError> {
        let length = match self.u32()? {
            LONG => self.u64()?,
            length => u64::from(length),
        };
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// Writes a number, little-endian.
pub fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a number, little-endian.
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a number, little-endian.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Writes a place in the order of rows.
pub fn put_order(out: &mut Vec<u8>, order: Order) {
    put_i64(out, order.time);
    put_u64(out, order.seq);
}

/// Writes how many things follow. Lists beyond 4 billion entries do not occur: cells are bounded.
pub fn put_count(out: &mut Vec<u8>, count: usize) {
    put_u32(out, count_bits(count));
}

fn count_bits(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Writes things behind their number, which `write` gives after it has appended them;
/// [`Reader::count`] reads it.
pub fn put_counted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> usize) {
    let at = out.len();
    put_count(out, 0);
    let count = count_bits(write(out));
    out[at..at + size_of::<u32>()].copy_from_slice(&count.to_le_bytes());
}

/// In place of a length of 32 bits: one of 64 bits follows.
const LONG: u32 = u32::MAX;

/// A length in 32 bits, where it fits.
fn short(length: usize) -> Option<u32> {
    u32::try_from(length).ok().filter(|length| *length != LONG)
}

/// Writes bytes behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match short(bytes.len()) {
        Some(length) => put_u32(out, length),
        None => {
            put_u32(out, LONG);
            put_u64(out, bytes.len() as u64);
        }
    }
    out.extend_from_slice(bytes);
}

/// Writes what `write` appends behind its length, and returns what it gives; [`Reader::sized`]
/// reads it.
pub fn put_sized<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let at = out.len();
    put_u32(out, LONG);
    let given = write(out);
    let length = out.len() - at - size_of::<u32>();
    match short(length) {
        Some(length) => out[at..at + size_of::<u32>()].copy_from_slice(&length.to_le_bytes()),
        None => lengthen(out, at, length),
    }
    given
}

/// Makes room for a length of 64 bits. What follows is moved once: 4 GiB at least, and seldom.
#[cold]
fn lengthen(out: &mut Vec<u8>, at: usize, length: usize) {
    let behind = at + size_of::<u32>();
    out.splice(behind..behind, (length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_both_sizes_are_read() {
        let text = b"some bytes";
        let mut out = b"before".to_vec();
        put_bytes(&mut out, text);
        put_sized(&mut out, |out| out.extend_from_slice(text));
        // As `put_sized` leaves what does not fit.
        let at = out.len();
        put_u32(&mut out, LONG);
        out.extend_from_slice(text);
        lengthen(&mut out, at, text.len());
        out.extend_from_slice(b"behind");

        let mut reader = Reader::new(&out);
        assert_eq!(reader.take(6), Ok(&b"before"[..]));
        for _ in 0..3 {
            assert_eq!(reader.bytes(), Ok(&text[..]));
        }
        assert_eq!(reader.rest(), b"behind");
    }

    #[test]
    fn a_length_of_32_bits_is_told_from_the_mark_of_a_longer_one() {
        let longest = (LONG - 1) as usize;
        assert_eq!(short(longest), Some(LONG - 1));
        assert_eq!(short(longest + 1), None);
        assert_eq!(short(usize::MAX), None);
        let mut out = LONG.to_le_bytes().to_vec();
        put_u64(&mut out, u64::MAX);
        let cut = Reader::new(&out).bytes();
        assert!(cut.is_err(), "longer than what is there");
    }
}
