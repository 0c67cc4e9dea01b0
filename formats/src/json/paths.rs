//! The wanted paths as a tree of keys.
//!
//! Each distinct path has a slot. Slots are numbered depth first, so those below a node are one
//! range, which a repeated key forgets at once.

use std::ops::Range;

/// A key and the node behind it.
#[derive(Debug, Clone)]
struct Entry {
    /// The key's first eight bytes, zeros behind a shorter one.
    word: u64,
    /// The last eight bytes of a longer key, else 0.
    tail: u64,
    key: Box<[u8]>,
    node: usize,
}

/// One key of the tree.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// A hash table with linear probing, a power of two long, at most half full.
    table: Vec<Option<Entry>>,
    /// A wanted key here has a backslash, so that its bytes may stand for another one as escaped.
    pub(crate) odd_keys: bool,
    /// The slot of the value itself, if it is wanted.
    pub(crate) slot: Option<usize>,
    /// The slots of the values inside it.
    pub(crate) inside: Range<usize>,
}

impl Node {
    /// True when something inside the value is wanted.
    #[inline]
    pub(crate) fn has_children(&self) -> bool {
        !self.inside.is_empty()
    }

    /// The node behind a key that has no escapes and stands at `range` in `bytes`.
    #[inline(always)]
    pub(crate) fn child(&self, bytes: &[u8], start: usize, end: usize) -> Option<usize> {
        let length = end - start;
        let word = word_at(bytes, start, end);
        let mut at = self.home(word, length);
        // Ends at an empty place, of which a table that is half full has one.
        while let Some(Some(entry)) = self.table.get(at) {
            if entry.word == word
                && entry.key.len() == length
                && (length <= 8
                    || (tail_at(bytes, end) == entry.tail
                        && (length <= 16 || bytes.get(start..end) == Some(&*entry.key))))
            {
                return Some(entry.node);
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        None
    }

    #[inline(always)]
    fn home(&self, word: u64, length: usize) -> usize {
        // Fibonacci hashing: the high bits of a product with 2^64 / golden ratio.
        let hash = (word ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> 40) as usize & self.table.len().wrapping_sub(1)
    }
}

#[inline(always)]
fn word_at(bytes: &[u8], start: usize, end: usize) -> u64 {
    let length = end - start;
    if let Some(Ok(first)) = bytes.get(start..start + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(first);
        return if length < 8 {
            word & !(!0 << (8 * length))
        } else {
            word
        };
    }
    let mut first = [0; 8];
    for (to, from) in first
        .iter_mut()
        .zip(bytes.get(start..end).unwrap_or_default())
    {
        *to = *from;
    }
    u64::from_le_bytes(first)
}

/// The eight bytes before `end`.
#[inline(always)]
fn tail_at(bytes: &[u8], end: usize) -> u64 {
    let tail = bytes.get(end.wrapping_sub(8)..end).map(<[u8; 8]>::try_from);
    tail.map_or(0, |tail| tail.map_or(0, u64::from_le_bytes))
}

/// All wanted paths.
#[derive(Debug)]
pub(crate) struct Paths {
    nodes: Vec<Node>,
    slots: usize,
}

/// A tree under construction.
#[derive(Default)]
struct Branch {
    wanted: bool,
    /// In the order in which they were first named.
    children: Vec<(String, Branch)>,
}

impl Paths {
    /// Builds the tree; also returns, for each path, its slot.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a [String]> + Clone) -> (Self, Vec<usize>) {
        let mut root = Branch::default();
        for path in paths.clone() {
            let mut branch = &mut root;
            for key in path {
                let known = branch.children.iter().position(|(name, _)| name == key);
                let at = known.unwrap_or_else(|| {
                    branch.children.push((key.clone(), Branch::default()));
                    branch.children.len() - 1
                });
                branch = &mut branch.children[at].1;
            }
            branch.wanted = true;
        }
        let mut built = Self {
            nodes: Vec::new(),
            slots: 0,
        };
        built.add(&root);
        let slots = paths.map(|path| built.slot(path)).collect();
        (built, slots)
    }

    fn add(&mut self, branch: &Branch) -> usize {
        let at = self.nodes.len();
        self.nodes.push(Node::default());
        let slot = branch.wanted.then(|| {
            self.slots += 1;
            self.slots - 1
        });
        let first = self.slots;
        let mut node = Node {
            table: vec![None; (branch.children.len() * 4).next_power_of_two()],
            odd_keys: branch.children.iter().any(|(key, _)| key.contains('\\')),
            slot,
            inside: first..first,
        };
        for (key, child) in &branch.children {
            let key: Box<[u8]> = key.as_bytes().into();
            let word = word_at(&key, 0, key.len());
            let mut place = node.home(word, key.len());
            while node.table[place].is_some() {
                place = (place + 1) & (node.table.len() - 1);
            }
            let tail = if key.len() > 8 {
                tail_at(&key, key.len())
            } else {
                0
            };
            node.table[place] = Some(Entry {
                word,
                tail,
                node: self.add(child),
                key,
            });
        }
        node.inside.end = self.slots;
        self.nodes[at] = node;
        at
    }

    fn slot(&self, path: &[String]) -> usize {
        let mut node = &self.nodes[0];
        for key in path {
            if let Some(child) = node.child(key.as_bytes(), 0, key.len()) {
                node = &self.nodes[child];
            }
        }
        node.slot.unwrap_or_default()
    }

    /// The node with that number; the root is 0.
    #[inline]
    pub(crate) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// How many slots there are.
    pub(crate) fn slot_count(&self) -> usize {
        self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_found_and_no_other() {
        let paths: Vec<Vec<String>> = [
            "a",
            "page_url",
            "page_urlscheme",
            "page_urlx",
            "p.a",
            "p.b.c",
            "p",
            "p.b.longer_key_1",
            "p.b.longer_key_2",
        ]
        .iter()
        .map(|path| path.split('.').map(str::to_owned).collect())
        .collect();
        let (tree, slots) = Paths::new(paths.iter().map(Vec::as_slice));
        let mut sorted = slots.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..paths.len()).collect::<Vec<_>>());
        let root = tree.node(0);
        assert_eq!(root.inside, 0..paths.len());
        let find = |key: &str| {
            // The key stands inside a longer text, as in a record.
            let text = format!("\"{key}\":12345678");
            root.child(text.as_bytes(), 1, 1 + key.len())
        };
        for (path, slot) in paths.iter().zip(&slots).filter(|(path, _)| path.len() == 1) {
            let node = find(&path[0]).unwrap();
            assert_eq!(tree.node(node).slot, Some(*slot), "{path:?}");
        }
        let p = tree.node(find("p").unwrap());
        assert_eq!(p.inside.len(), 4);
        for key in ["", "b", "page_ur", "page_urly", "page_urlschemf", "aa", "P"] {
            assert_eq!(find(key), None, "{key}");
        }
    }
}
