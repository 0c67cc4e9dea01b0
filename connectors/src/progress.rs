//! What stores remember of how far the input was read: under which key, in which fields, and that
//! it never goes back.

use crate::redis::PROGRESS_KEY_PREFIX;
use std::borrow::Cow;
use tidewheel_core::{Progress, SinkRequest};

/// The field of the frontier; the others are `offset:<source>:<partition>`.
const FRONTIER: &str = "frontier";
const OFFSET: &str = "offset:";

/// The key of a query's progress: by pipeline and query where checkpoints are taken (several
/// queries may write one table), else by table.
pub(crate) fn key(request: &SinkRequest) -> String {
    match &request.owner {
        Some(owner) => format!("{PROGRESS_KEY_PREFIX}{}:{}", owner.pipeline, request.query),
        None => format!("{PROGRESS_KEY_PREFIX}{}", request.table.name),
    }
}

/// The key of the sorted set that a query's notes are kept in, beside its progress.
pub(crate) fn notes_key(progress_key: &str) -> String {
    format!("{progress_key}#keys")
}

/// A note as a member of that set.
pub(crate) fn member(note: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(2 * note.len());
    for byte in note {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The note that a member stands for; `None` where another program wrote it.
pub(crate) fn note(member: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = member
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    bytes.collect()
}

/// Names and texts of the fields.
pub(crate) fn fields(progress: &Progress) -> impl Iterator<Item = (String, String)> {
    let offsets = progress.offsets.iter().map(|(source, partition, offset)| {
        (format!("{OFFSET}{source}:{partition}"), offset.to_string())
    });
    let frontier = progress
        .frontier
        .map(|time| (FRONTIER.to_owned(), time.to_string()));
    offsets.chain(frontier)
}

/// The progress that fields stand for, in the order of sources and partitions. `None` where there
/// is none; what another program wrote beside is left out.
pub(crate) fn parse<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Option<Progress> {
    let mut progress = Progress::default();
    for (name, text) in fields {
        if name == FRONTIER {
            progress.frontier = text.parse().ok();
        } else if let Some((source, partition)) = name
            .strip_prefix(OFFSET)
            .and_then(|rest| rest.rsplit_once(':'))
            && let (Ok(partition), Ok(offset)) = (partition.parse(), text.parse())
        {
            progress
                .offsets
                .push((source.to_owned(), partition, offset));
        }
    }
    progress.offsets.sort_unstable();
    (progress != Progress::default()).then_some(progress)
}

/// The part of `now` that is farther than `before`, or was not there.
pub(crate) fn raised<'a>(before: Option<&Progress>, now: &'a Progress) -> Cow<'a, Progress> {
    let Some(before) = before else {
        return Cow::Borrowed(now);
    };
    let farther = |(at, (source, partition, offset)): (usize, &(String, u32, u64))| {
        offset_of(before, at, source, *partition).is_none_or(|known| *offset > known)
    };
    let offsets = now.offsets.iter().enumerate().filter(|one| farther(*one));
    Cow::Owned(Progress {
        offsets: offsets.map(|(_, one)| one.clone()).collect(),
        frontier: now
            .frontier
            .filter(|time| before.frontier.is_none_or(|known| *time > known)),
    })
}

/// How many fields of `now` were not there before.
pub(crate) fn new_fields(before: &Progress, now: &Progress) -> usize {
    let is_new = |(at, (source, partition, _)): &(usize, &(String, u32, u64))| {
        offset_of(before, *at, source, *partition).is_none()
    };
    let offsets = now.offsets.iter().enumerate().filter(is_new).count();
    offsets + usize::from(now.frontier.is_some() && before.frontier.is_none())
}

/// Takes over what [`raised`] gave.
pub(crate) fn raise(before: &mut Progress, raised: Cow<'_, Progress>) {
    let raised = raised.into_owned();
    before.frontier = before.frontier.max(raised.frontier);
    for (source, partition, offset) in raised.offsets {
        let is_it = |known: &&mut (String, u32, u64)| known.0 == source && known.1 == partition;
        match before.offsets.iter_mut().find(is_it) {
            Some(known) => known.2 = known.2.max(offset),
            None => before.offsets.push((source, partition, offset)),
        }
    }
}

fn offset_of(progress: &Progress, at: usize, source: &str, partition: u32) -> Option<u64> {
    // The order rarely changes, so the same place is looked at first.
    let is_it = |known: &&(String, u32, u64)| known.0 == source && known.1 == partition;
    let known = progress.offsets.get(at).filter(is_it);
    let known = known.or_else(|| progress.offsets.iter().find(is_it));
    known.map(|known| known.2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_progress() -> impl Strategy<Value = Progress> {
        let one = ("[a:b]{0,3}", 0_u32..4, 0_u64..9);
        let offsets = proptest::collection::btree_map((one.0, one.1), one.2, 0..6);
        (offsets, proptest::option::of(-3_i64..3)).prop_map(|(offsets, frontier)| Progress {
            offsets: offsets.into_iter().map(|((s, p), o)| (s, p, o)).collect(),
            frontier,
        })
    }

    fn highest(a: &Progress, b: &Progress) -> Progress {
        let mut all = std::collections::BTreeMap::new();
        for (source, partition, offset) in a.offsets.iter().chain(&b.offsets) {
            let known = all.entry((source.clone(), *partition)).or_insert(0);
            *known = (*offset).max(*known);
        }
        Progress {
            offsets: all.into_iter().map(|((s, p), o)| (s, p, o)).collect(),
            frontier: a.frontier.max(b.frontier),
        }
    }

    proptest! {
        #[test]
        fn fields_read_back(progress in any_progress()) {
            let fields: Vec<(String, String)> = fields(&progress).collect();
            let read = parse(fields.iter().map(|(n, t)| (n.as_str(), t.as_str())));
            prop_assert_eq!(read.unwrap_or_default(), progress);
        }

        #[test]
        fn it_never_goes_back(a in any_progress(), b in any_progress()) {
            let mut known = a.clone();
            let step = raised(Some(&a), &b);
            let fresh = step.offsets.iter().filter(|(s, p, _)| {
                !a.offsets.iter().any(|known| known.0 == *s && known.1 == *p)
            });
            let fresh = fresh.count() + usize::from(a.frontier.is_none() && b.frontier.is_some());
            prop_assert_eq!(new_fields(&a, &step), fresh);
            raise(&mut known, step);
            known.offsets.sort_unstable();
            prop_assert_eq!(&known, &highest(&a, &b));
            prop_assert_eq!(fields(&raised(Some(&known), &b)).count(), 0);
        }
    }
}
