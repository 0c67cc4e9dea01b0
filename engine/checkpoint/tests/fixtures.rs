//! A checkpoint of format version 1, kept for ever: every later program must read it.
//!
//! `fixtures/v1` was written once by `cargo test -p tidewheel-checkpoint --test fixtures -- --ignored`,
//! which refuses to write it again.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
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

/// A checkpoint that uses every field, the second with increments on the first.
fn checkpoint(at: usize) -> (Data, Manifest) {
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
    if at == 1 {
        let (_, before) = checkpoint(0);
        for (shard, pieces) in group.iter_mut().enumerate() {
            pieces.splice(0..0, before.sources[0].groups[0].shards[shard].clone());
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
                groups: Vec::new(),
                queries: vec![QueryEntry {
                    name: String::new(),
                    fingerprint: 2,
                    group: None,
                    sets: Vec::new(),
                    shards: Vec::new(),
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
    assert!(!folder().exists(), "they are kept as they are for ever");
    for at in 0..NAMES.len() {
        let (data, manifest) = checkpoint(at);
        store(&folder()).write(data, &manifest).unwrap();
    }
}

#[test]
fn version_1_is_read() {
    // A copy: opening must not write beside the fixtures.
    let copy = tempfile::tempdir().unwrap();
    let pipeline = copy.path().join("shop");
    std::fs::create_dir(&pipeline).unwrap();
    for entry in std::fs::read_dir(folder().join("shop")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, pipeline.join(path.file_name().unwrap())).unwrap();
    }
    let store = store(copy.path());
    assert_eq!(store.names().unwrap(), NAMES);
    for (at, name) in NAMES.into_iter().enumerate() {
        let loaded = store.load(name).unwrap().unwrap();
        let (_, want) = checkpoint(at);
        assert_eq!(loaded.manifest, want);
        let source = &loaded.manifest.sources[0];
        let query = &source.queries[0];
        let own = [&source.scan].into_iter().chain(&query.shards);
        let newest = source.groups[0].shards.iter().filter_map(|p| p.last());
        for (number, piece) in (at as u8 * 10..).zip(own.chain([&query.sink]).chain(newest)) {
            assert_eq!(loaded.piece(piece).unwrap(), content(number));
        }
        for (shard, pieces) in source.groups[0].shards.iter().enumerate() {
            assert_eq!(pieces.len(), at + 1);
            assert_eq!(loaded.piece(&pieces[0]).unwrap(), content(4 + shard as u8));
        }
    }
    let (newest, broken) = store.newest().unwrap();
    assert_eq!(newest.unwrap().manifest.number, 17);
    assert!(broken.is_empty());
    assert_eq!(store.storage().list("shop/").unwrap().len(), 4);
}
