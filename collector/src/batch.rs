//! Records that belong together: what one request, or a part of one, becomes.

/// Records one after another.
#[derive(Debug, Default)]
pub struct Records {
    bytes: Vec<u8>,
    keys: Vec<u8>,
    ends: Vec<(usize, usize)>,
}

impl Records {
    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Makes room for so many bytes of records.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Appends the record that `write` writes, and returns the bytes of key and value.
    pub fn push(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.keys.extend_from_slice(key.as_bytes());
        self.ends.push((self.bytes.len(), self.keys.len()));
        self.bytes.len() - before + key.len()
    }

    /// Takes back what came after the first `count` records, half-written ones too.
    pub fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        let (bytes, keys) = self.ends.last().copied().unwrap_or_default();
        self.bytes.truncate(bytes);
        self.keys.truncate(keys);
    }

    /// Keys and values. Records of one key stay in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once((0, 0)).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| (&self.keys[start.1..end.1], &self.bytes[start.0..end.0]))
    }
}

/// What becomes of events: records for each of the places that a collector writes to.
#[derive(Debug, Default)]
pub struct Batch {
    /// Topic JSON.
    pub json: Records,
    /// Enriched TSV.
    pub tsv: Records,
    /// Bad rows.
    pub bad: Records,
    /// When the events came, in milliseconds since the epoch.
    pub collector_ms: i64,
}

impl Batch {
    /// True when there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.json.is_empty() && self.tsv.is_empty() && self.bad.is_empty()
    }

    /// The bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.json.bytes() + self.tsv.bytes() + self.bad.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(records: &mut Records, key: &str, value: &str) {
        let bytes = records.push(key, |out| out.extend_from_slice(value.as_bytes()));
        assert_eq!(bytes, key.len() + value.len());
    }

    #[test]
    fn records_come_back_as_they_were_put() {
        let mut records = Records::default();
        put(&mut records, "a", "one");
        put(&mut records, "", "");
        put(&mut records, "bc", "three");
        let all: Vec<_> = records.iter().collect();
        assert_eq!(
            all,
            [(&b"a"[..], &b"one"[..]), (b"", b""), (b"bc", b"three")]
        );
        records.truncate(1);
        put(&mut records, "d", "four");
        let all: Vec<_> = records.iter().collect();
        assert_eq!(all, [(&b"a"[..], &b"one"[..]), (b"d", b"four")]);
        records.truncate(0);
        assert_eq!((records.len(), records.bytes()), (0, 0));
    }
}
