//! A number for all that a tracker said of an event, so that repeats are told from other events
//! with the same id.

use crate::params::{Param, Params};
use sha2::{Digest, Sha256};

/// What changes between two tries to send the same event, and the event's own id.
const EXCLUDED: [Param; 4] = [Param::Eid, Param::Nuid, Param::Stm, Param::Cv];
/// Stands behind each name and each value.
const END: [u8; 1] = [0x1f];

/// SHA-256, in lower-case hexadecimal, over the parameters sorted by name.
#[must_use]
pub fn of(params: &Params<'_>) -> String {
    let mut hash = Sha256::new();
    for (param, name, value) in params.iter() {
        if !EXCLUDED.contains(&param) {
            hash.update(name);
            hash.update(END);
            hash.update(value);
            hash.update(END);
        }
    }
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::query;

    fn fingerprint(text: &str) -> String {
        of(&query(text).expect("reads"))
    }

    #[test]
    fn it_is_the_same_for_repeats_only() {
        let first = fingerprint("e=pv&eid=1&stm=2&nuid=3&cv=4&page=a&uid=b");
        assert_eq!(fingerprint("uid=b&page=a&stm=9&e=pv"), first);
        for other in [
            "e=pv&page=a",
            "e=pv&page=b&uid=b",
            "e=pv&page=a&uid=b&tz=x",
            "e=pv&page=b&uid=a",
        ] {
            assert_ne!(fingerprint(other), first, "{other}");
        }
    }

    #[test]
    fn it_is_the_known_hash() {
        // printf 'e\037pv\037' | sha256sum
        assert_eq!(
            fingerprint("e=pv"),
            "f76f177decd44ebc134150194ed7d2a8ac3662df637cb6972cbdb80d08078fc8"
        );
        assert_eq!(
            of(&Params::default()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
