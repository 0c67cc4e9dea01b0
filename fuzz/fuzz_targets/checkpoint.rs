//! What a checkpoint store may hold on arbitrary bytes: objects, manifests and leases, with and
//! without a checksum that matches, and the state of windows. No panic, nothing damaged is taken for
//! whole, and what could be read can be written and read again.
//!
//! The first byte chooses what the rest is.

#![no_main]

#[path = "../../engine/kernel/tests/save_support/mod.rs"]
mod save_support;
#[path = "../../engine/kernel/tests/window_support/mod.rs"]
mod window_support;

use libfuzzer_sys::fuzz_target;
use save_support::{Feed, random_aggregates, random_set, random_windows};
use std::sync::Arc;
use std::time::Duration;
use tidewheel_checkpoint::lease::{Owner, Watch};
use tidewheel_checkpoint::{CheckpointStore, Kind, Lease, MemoryStorage, Name, Storage, envelope};
use tidewheel_kernel::share::Share;
use tidewheel_kernel::spec::SetSpec;
use tidewheel_kernel::window::{SetId, WindowOperator};
use window_support::{Batch, UNIT, encoder};

const KINDS: [Kind; 3] = [Kind::Manifest, Kind::Data, Kind::Lease];

/// Bytes as they lie in a store: what opens is what would be written.
fn object(data: &[u8]) {
    for kind in KINDS {
        if let Ok(content) = envelope::open(kind, data) {
            let mut again = envelope::begin();
            again.extend_from_slice(content);
            assert_eq!(envelope::seal(kind, again)[16..], data[16..]);
        }
    }
}

/// A store with a manifest, data and a lease of these contents, each behind a length of two bytes
/// and a byte that says whether its checksum is right.
fn store(mut data: &[u8]) {
    let storage = Arc::new(MemoryStorage::default());
    let names = [
        ("p/data-0000000001-000000000001", Kind::Data),
        ("p/manifest-0000000001-000000000001", Kind::Manifest),
        ("p/manifest-0000000001-000000000002", Kind::Manifest),
        ("p/beat-0000000001", Kind::Lease),
        ("p/lease-0000000001", Kind::Lease),
    ];
    for (name, kind) in names {
        let [low, high, sealed, rest @ ..] = data else {
            break;
        };
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (content, after) = rest.split_at(length);
        data = after;
        let mut bytes = content.to_vec();
        if sealed & 1 == 0 {
            bytes.splice(..0, envelope::begin());
            bytes = envelope::seal(kind, bytes);
        }
        let _ = storage.put(name, bytes);
    }
    let store = CheckpointStore::new(storage, "p");
    let Ok((newest, broken)) = store.newest() else {
        panic!("memory is never away")
    };
    assert!(newest.iter().count() + broken.len() <= 2);
    if let Some(loaded) = newest {
        for piece in loaded.manifest.pieces() {
            let read = loaded.piece(piece).map(<[u8]>::len);
            assert_eq!(read, Ok(piece.length as usize), "it was read whole");
        }
        let _ = loaded.manifest.state_bytes();
    }
    let _ = store.list();
    let mut watch = Watch::default();
    let here = Owner::this();
    for second in [0, 1, 9] {
        let _ = watch.look(&store, &here, Duration::from_secs(second));
    }
    let _ = Lease::claim(&store, here);
    let _ = store.retain(1);
    let _ = store.remove(Name {
        epoch: 1,
        number: 1,
    });
}

/// The state of windows: sets and rows by `seed`; the bytes are edits of what they save, three each
/// (a place and a value), or stand in its place.
fn windows(seed: u8, data: &[u8], edits: bool) {
    let mut random = fastrand::Rng::with_seed(u64::from(seed));
    let retracting = random.u32(0..4) == 0;
    let aggregates = random_aggregates(&mut random);
    let windows = random_windows(&mut random);
    let sets: Vec<SetSpec> = (0..random.usize(1..4))
        .map(|_| random_set(&mut random, retracting, &aggregates, &windows))
        .collect();
    let named: Vec<(SetId, SetSpec)> = (0..).map(SetId).zip(sets.clone()).collect();
    let mut feed = Feed::new(&mut random, retracting);
    let mut bytes = data.to_vec();
    if edits {
        let mut operator = WindowOperator::new(encoder(), sets);
        for _ in 0..3 {
            let batch = feed.batch(&mut random);
            operator.process(&Batch::new(&batch, 1).input(0, retracting));
            operator.advance(feed.frontier, feed.watermark, 3);
        }
        bytes.clear();
        operator.save(&mut bytes);
        let mut rest = data.chunks_exact(3);
        for edit in &mut rest {
            let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
            bytes[at] = edit[2];
        }
        // One byte more: it is torn there.
        if let [cut] = rest.remainder() {
            bytes.truncate(bytes.len() * usize::from(*cut) / 256);
        }
    }
    let restored = WindowOperator::restore(encoder(), &named, &[vec![&bytes]], &Share::all());
    let Ok((mut operator, _)) = restored else {
        return;
    };
    let after = feed.batch(&mut random);
    operator.advance(feed.frontier, feed.watermark, 5);
    operator.process(&Batch::new(&after, 1).input(0, retracting));
    for end in [feed.head, feed.head + 1000 * UNIT] {
        for _ in 0..20 {
            operator.advance(end, end, 30);
        }
        for (id, _) in &named {
            operator.refresh(*id);
            for _ in 0..20 {
                if operator.take_changes(*id, 9, true).is_none() {
                    break;
                }
            }
            operator.take_freed(*id);
        }
    }
    let mut saved = Vec::new();
    operator.save(&mut saved);
}

fuzz_target!(|data: &[u8]| {
    match data {
        [choice, rest @ ..] if choice % 4 == 0 => object(rest),
        [choice, rest @ ..] if choice % 4 == 1 => store(rest),
        [choice, seed, rest @ ..] => windows(*seed, rest, choice % 4 == 3),
        _ => {}
    }
});
