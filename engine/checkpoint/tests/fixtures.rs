//! Checkpoints of each version of the format, kept for ever: every later program must read them.
//!
//! `fixtures/v1` and `fixtures/v2` were written once, each by the program whose version it was, by
//! `cargo test -p tidewheel-checkpoint --test fixtures -- --ignored`, which refuses to write them
//! again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewheel_checkpoint::envelope::VERSION;
use tidewheel_checkpoint::{
    CheckpointStore, Data, GroupEntry, Manifest, Name, ObjectStorage, Piece, QueryEntry,
    SourceEntry,
};

const NAMES: [Name; 2] = [
    Name {
        epoch: 3,
        number: 16,
    },
    Name {
        epoch: 3,
        number: 17,
    },
];

fn folder(version: u16) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}"))
}

fn store(folder: &Path) -> CheckpointStore {
    let storage = ObjectStorage::open(folder.to_str().unwrap()).unwrap();
    CheckpointStore::new(Arc::new(storage), "shop")
}

/// The bytes of a piece, by a number: of every length from none on, with every byte.
fn content(number: u8) -> Vec<u8> {
    (0..usize::from(number) * 100)
        .map(|at| (at as u8).wrapping_mul(7).wrapping_add(number))
        .collect()
}

/// A checkpoint that uses every field, the second with increments on the first: of groups only in
/// version 1, later of all state.
fn checkpoint(version: u16, at: usize) -> (Data, Manifest) {
    let name = NAMES[at];
    let mut data = Data::new(name);
    let mut number = at as u8 * 10;
    let mut piece = || {
        number += 1;
        data.add(content(number - 1))
    };
    let scan = piece();
    let own: Vec<Piece> = (0..2).map(|_| piece()).collect();
    let sink = piece();
    let mut group: Vec<Vec<Piece>> = (0..2).map(|_| vec![piece()]).collect();
    let (mut scan_before, mut before) = (Vec::new(), Vec::new());
    if at == 1 {
        let (_, first) = checkpoint(version, 0);
        let first = &first.sources[0];
        for (shard, pieces) in group.iter_mut().enumerate() {
            pieces.splice(0..0, first.groups[0].shards[shard].clone());
        }
        if version > 1 {
            scan_before.push(first.scan.clone());
            // One shard's state is all of it again.
            before = vec![vec![first.queries[0].shards[0].clone()], Vec::new()];
        }
    }
    let manifest = Manifest {
        pipeline: "shop".to_owned(),
        epoch: name.epoch,
        number: name.number,
        at_ms: 1_709_294_400_000 + at as i64,
        gather_ms: 12,
        version: "0.1.0".to_owned(),
        shards: 2,
        sources: vec![
            SourceEntry {
                name: "shopper_events".to_owned(),
                fingerprint: u64::MAX - 1,
                offsets: BTreeMap::from([(0, 5), (7, u64::MAX)]),
                marks: BTreeMap::new(),
                frontier: Some(-1_709_294_400_000_001),
                bounded: false,
                lead_ms: None,
                scan: scan.clone(),
                scan_before,
                groups: vec![GroupEntry {
                    group: 4,
                    shards: group,
                }],
                queries: vec![QueryEntry {
                    name: "product_features_5m".to_owned(),
                    fingerprint: 1,
                    group: Some(4),
                    sets: vec![0, 3],
                    shards: own,
                    before,
                    sink: sink.clone(),
                }],
            },
            SourceEntry {
                name: "empty \"ü\"".to_owned(),
                fingerprint: 0,
                offsets: BTreeMap::new(),
                marks: BTreeMap::new(),
                frontier: None,
                bounded: false,
                lead_ms: None,
                scan,
                scan_before: Vec::new(),
                groups: Vec::new(),
                queries: vec![QueryEntry {
                    name: String::new(),
                    fingerprint: 2,
                    group: None,
                    sets: Vec::new(),
                    shards: Vec::new(),
                    before: Vec::new(),
                    sink,
                }],
            },
        ],
    };
    (data, manifest)
}

#[test]
#[ignore = "writes the fixtures, once"]
fn write_the_fixtures() {
    let folder = folder(VERSION);
    assert!(!folder.exists(), "they are kept as they are for ever");
    for at in 0..NAMES.len() {
        let (data, manifest) = checkpoint(VERSION, at);
        store(&folder).write(data, &manifest).unwrap();
    }
}

fn is_read(version: u16) {
    // A copy: opening must not write beside the fixtures.
    let copy = tempfile::tempdir().unwrap();
    let pipeline = copy.path().join("shop");
    std::fs::create_dir(&pipeline).unwrap();
    for entry in std::fs::read_dir(folder(version).join("shop")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, pipeline.join(path.file_name().unwrap())).unwrap();
    }
    let store = store(copy.path());
    assert_eq!(store.names().unwrap(), NAMES);
    for (at, name) in NAMES.into_iter().enumerate() {
        let loaded = store.load(name).unwrap().unwrap();
        let (_, want) = checkpoint(version, at);
        assert_eq!(loaded.manifest, want);
        let source = &loaded.manifest.sources[0];
        let query = &source.queries[0];
        let own = [&source.scan].into_iter().chain(&query.shards);
        let newest = source.groups[0].shards.iter().filter_map(|p| p.last());
        for (number, piece) in (at as u8 * 10..).zip(own.chain([&query.sink]).chain(newest)) {
            assert_eq!(loaded.piece(piece).unwrap(), content(number));
        }
        let chains = |version_1: usize| if version == 1 { version_1 } else { at + 1 };
        let of_shard = |shard| query.shard(shard).collect::<Vec<_>>();
        for (number, chain, length) in [
            (0, source.scans().collect(), chains(1)),
            (1, of_shard(0), chains(1)),
            (2 + at as u8 * 10, of_shard(1), 1),
            (4, source.groups[0].shards[0].iter().collect(), at + 1),
            (5, source.groups[0].shards[1].iter().collect(), at + 1),
        ] {
            assert_eq!(chain.len(), length);
            let first = if length == at + 1 || number > 10 {
                number
            } else {
                number + 10
            };
            assert_eq!(loaded.piece(chain[0]).unwrap(), content(first));
        }
    }
    let (newest, broken) = store.newest().unwrap();
    assert_eq!(newest.unwrap().manifest.number, 17);
    assert!(broken.is_empty());
    assert_eq!(store.storage().list("shop/").unwrap().len(), 4);
}

#[test]
fn version_1_is_read() {
    is_read(1);
}

#[test]
fn version_2_is_read() {
    is_read(2);
}

#[test]
fn what_earlier_versions_lacked_is_not_written_where_it_is_not_there() {
    let (_, manifest) = checkpoint(1, 1);
    let text = serde_json::to_string(&manifest).unwrap();
    assert!(!text.contains("before"), "{text}");
}
