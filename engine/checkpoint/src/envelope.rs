//! What stands around every object: what it is, in which version, and a checksum, so that one that
//! is torn, damaged or foreign is never taken for whole.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `TIDEWHLC` |
//! | 8..10 | version of the format, little-endian |
//! | 10 | kind: 1 manifest, 2 data, 3 lease |
//! | 11..16 | zero |
//! | 16..24 | length of the content, little-endian |
//! | 24..40 | XXH3, 128 bits, of bytes 0..24 and the content, little-endian |
//! | 40.. | the content |

use xxhash_rust::xxh3::Xxh3;

/// The latest version of the format.
///
/// 2: a manifest's entries of sources and queries have the pieces before the newest.
pub const VERSION: u16 = 2;
/// Bytes before the content.
pub const HEADER: usize = 40;

const MAGIC: &[u8; 8] = b"TIDEWHLC";

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What is where.
    Manifest = 1,
    /// Pieces of state.
    Data = 2,
    /// A claim to write.
    Lease = 3,
}

impl Kind {
    /// The version that objects of this kind are written in: the first one that has their layout, so
    /// that earlier programs read what they can.
    #[must_use]
    pub const fn version(self) -> u16 {
        match self {
            Self::Manifest => VERSION,
            Self::Data | Self::Lease => 1,
        }
    }
}

/// An object is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Shorter than it says, or than any object.
    #[error("it is torn: {have} bytes of {want}")]
    Torn {
        /// Bytes that are there.
        have: u64,
        /// Bytes that should be.
        want: u64,
    },
    /// Bytes were changed.
    #[error("its checksum does not match: it is damaged")]
    Damaged,
    /// Not an object of this program.
    #[error("it is not a checkpoint of Tidewheel")]
    Foreign,
    /// Written by a later program.
    #[error("it has version {0} of the format, and this program reads up to {VERSION}")]
    Version(u16),
    /// Whole, but its content makes no sense.
    #[error("its content cannot be read: {0}")]
    Content(String),
}

/// An object under construction: a place for the header, to which content is appended.
#[must_use]
pub fn begin() -> Vec<u8> {
    vec![0; HEADER]
}

/// Completes an object that [`begin`] began.
#[must_use]
pub fn seal(kind: Kind, mut object: Vec<u8>) -> Vec<u8> {
    if object.len() < HEADER {
        object.resize(HEADER, 0);
    }
    let header = header(kind, std::iter::once(&object[HEADER..]));
    object[..HEADER].copy_from_slice(&header);
    object
}

/// The bytes that stand before a content, which is these parts one behind the other.
#[must_use]
pub fn header<'a>(kind: Kind, content: impl Iterator<Item = &'a [u8]> + Clone) -> [u8; HEADER] {
    let length: u64 = content.clone().map(|part| part.len() as u64).sum();
    let mut header = [0; HEADER];
    header[0..8].copy_from_slice(MAGIC);
    header[8..10].copy_from_slice(&kind.version().to_le_bytes());
    header[10] = kind as u8;
    header[16..24].copy_from_slice(&length.to_le_bytes());
    let sum = checksum(&header, content);
    header[24..HEADER].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The content of an object, once all about it has been checked.
///
/// # Errors
/// See [`FormatError`].
pub fn open(kind: Kind, object: &[u8]) -> Result<&[u8], FormatError> {
    let have = object.len() as u64;
    if object.len() < HEADER {
        return Err(FormatError::Torn {
            have,
            want: HEADER as u64,
        });
    }
    if &object[0..8] != MAGIC {
        return Err(FormatError::Foreign);
    }
    let version = u16::from_le_bytes([object[8], object[9]]);
    if version == 0 || version > VERSION {
        return Err(FormatError::Version(version));
    }
    let mut length = [0; 8];
    length.copy_from_slice(&object[16..24]);
    let want = u64::from_le_bytes(length).saturating_add(HEADER as u64);
    if have < want {
        return Err(FormatError::Torn { have, want });
    }
    let mut sum = [0; 16];
    sum.copy_from_slice(&object[24..HEADER]);
    let (header, content) = object.split_at(HEADER);
    let found = checksum(header, std::iter::once(content));
    if have != want || u128::from_le_bytes(sum) != found || object[10] != kind as u8 {
        return Err(FormatError::Damaged);
    }
    Ok(&object[HEADER..])
}

fn checksum<'a>(header: &[u8], content: impl Iterator<Item = &'a [u8]>) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&header[0..24]);
    content.for_each(|part| hash.update(part));
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sealed(content: &[u8]) -> Vec<u8> {
        let mut object = begin();
        object.extend_from_slice(content);
        seal(Kind::Data, object)
    }

    proptest! {
        #[test]
        fn content_comes_back(content: Vec<u8>) {
            let object = sealed(&content);
            prop_assert_eq!(open(Kind::Data, &object), Ok(&content[..]));
        }

        #[test]
        fn a_torn_object_is_never_taken_for_whole(content: Vec<u8>, cut: prop::sample::Index) {
            let object = sealed(&content);
            let cut = cut.index(object.len());
            prop_assert!(open(Kind::Data, &object[..cut]).is_err());
        }

        #[test]
        fn a_flipped_bit_is_found(content: Vec<u8>, bit: prop::sample::Index) {
            let mut object = sealed(&content);
            let bit = bit.index(object.len() * 8);
            object[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(open(Kind::Data, &object).is_err());
        }

        #[test]
        fn any_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(open(Kind::Manifest, &bytes).is_err());
        }
    }

    #[test]
    fn each_kind_is_of_the_first_version_that_has_its_layout() {
        for (kind, version) in [(Kind::Manifest, 2), (Kind::Data, 1), (Kind::Lease, 1)] {
            let object = seal(kind, begin());
            assert_eq!(object[8..10], [version, 0]);
            assert_eq!(open(kind, &object), Ok(&[][..]));
        }
    }

    #[test]
    fn one_kind_is_not_another_and_more_bytes_are_damage() {
        let mut object = sealed(b"x");
        assert_eq!(open(Kind::Manifest, &object), Err(FormatError::Damaged));
        object.push(0);
        assert_eq!(open(Kind::Data, &object), Err(FormatError::Damaged));
    }
}
