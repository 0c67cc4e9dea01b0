//! Checkpoints in a folder: what is torn, damaged or half written is never used.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;
use tidewheel_checkpoint::{
    CheckpointStore, Data, Manifest, Name, ObjectStorage, Piece, RecordMark, SourceEntry, Storage,
    StorageError,
};

fn write(store: &CheckpointStore, number: u64, content: &[u8]) {
    write_on(store, number, content, Vec::new()).unwrap();
}

/// Writes one that builds on pieces of others, and gives all pieces of it.
fn write_on(
    store: &CheckpointStore,
    number: u64,
    content: &[u8],
    base: Vec<Piece>,
) -> Result<Vec<Piece>, StorageError> {
    let name = Name { epoch: 1, number };
    let mut data = Data::new(name);
    let scan = data.add(content.to_vec());
    let pieces = base.iter().chain([&scan]).cloned().collect();
    let manifest = Manifest {
        pipeline: store.pipeline().to_owned(),
        epoch: name.epoch,
        number,
        at_ms: 5,
        gather_ms: 1,
        version: "test".to_owned(),
        shards: 1,
        sources: vec![SourceEntry {
            name: "events".to_owned(),
            fingerprint: u64::MAX,
            offsets: BTreeMap::from([(0, u64::MAX)]),
            marks: BTreeMap::from([(
                0,
                RecordMark {
                    offset: 5,
                    check: u64::MAX,
                },
            )]),
            frontier: Some(-1),
            bounded: true,
            lead_ms: Some(-3),
            scan,
            scan_before: base,
            groups: Vec::new(),
            queries: Vec::new(),
        }],
    };
    store.write(data, &manifest)?;
    Ok(pieces)
}

fn newest(store: &CheckpointStore) -> (Option<u64>, usize) {
    let (loaded, broken) = store.newest().unwrap();
    let number = loaded.map(|loaded| {
        let piece = &loaded.manifest.sources[0].scan;
        let number = loaded.manifest.number;
        let content = loaded.piece(piece).unwrap();
        assert_eq!(content, format!("state {number}").as_bytes());
        number
    });
    (number, broken.len())
}

#[test]
fn the_newest_whole_checkpoint_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(ObjectStorage::open(folder.path().to_str().unwrap()).unwrap());
    let store = CheckpointStore::new(storage, "shop");
    assert_eq!(newest(&store), (None, 0));
    for number in 1..=4 {
        write(&store, number, format!("state {number}").as_bytes());
    }
    assert_eq!(newest(&store), (Some(4), 0));
    let place = |kind: &str, number: u64| {
        folder
            .path()
            .join(format!("shop/{kind}-0000000001-{number:012}"))
    };
    // A manifest that is torn at any byte, data with a bit that has flipped, data that is gone.
    let manifest = std::fs::read(place("manifest", 4)).unwrap();
    for cut in 0..manifest.len() {
        std::fs::write(place("manifest", 4), &manifest[..cut]).unwrap();
        assert_eq!(newest(&store), (Some(3), 1));
    }
    let mut data = std::fs::read(place("data", 3)).unwrap();
    let last = data.len() - 1;
    data[last] ^= 1;
    std::fs::write(place("data", 3), data).unwrap();
    assert_eq!(newest(&store), (Some(2), 2));
    std::fs::remove_file(place("data", 2)).unwrap();
    assert_eq!(newest(&store), (Some(1), 3));
    // Data without a manifest is no checkpoint.
    std::fs::remove_file(place("manifest", 4)).unwrap();
    assert_eq!(newest(&store), (Some(1), 2));
    assert_eq!(store.list().unwrap().len(), 3);
}

#[test]
fn old_ones_go_and_what_newer_ones_use_stays() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(ObjectStorage::open(folder.path().to_str().unwrap()).unwrap());
    let store = CheckpointStore::new(storage.clone(), "shop");
    for number in 1..=6 {
        write(&store, number, format!("state {number}").as_bytes());
    }
    store.retain(2).unwrap();
    let left: Vec<u64> = store.names().unwrap().iter().map(|n| n.number).collect();
    assert_eq!(left, [5, 6]);
    let data = storage.list("shop/data-").unwrap();
    assert_eq!(data.len(), 2);
    store
        .remove(Name {
            epoch: 1,
            number: 5,
        })
        .unwrap();
    assert_eq!(newest(&store), (Some(6), 0));
    assert_eq!(storage.list("shop/data-").unwrap().len(), 1);
}

#[test]
fn one_damaged_object_leaves_one_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(ObjectStorage::open(folder.path().to_str().unwrap()).unwrap());
    let store = CheckpointStore::new(storage.clone(), "shop");
    let add = |number: u64, base: Vec<Piece>| {
        let content = format!("state {number}");
        write_on(&store, number, content.as_bytes(), base)
    };
    let first = add(1, Vec::new()).unwrap();
    add(2, first).unwrap();
    let full = add(3, Vec::new()).unwrap();
    let more = add(4, full).unwrap();
    let more = add(5, more).unwrap();
    store.retain(2).unwrap();
    let left: Vec<u64> = store.names().unwrap().iter().map(|n| n.number).collect();
    assert_eq!(left, [2, 4, 5], "2 shares nothing with 5");

    let base = "shop/data-0000000001-000000000003";
    let mut bytes = storage.get(base).unwrap().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    storage.put(base, bytes).unwrap();
    assert_eq!(newest(&store), (Some(2), 2));
    let broken = store.newest().unwrap().1;
    assert!(
        broken[0]
            .1
            .to_string()
            .contains("data-0000000001-000000000003")
    );

    // As after a restart: what was found damaged is not what is kept for such a case.
    write(&store, 10, b"state 10");
    store.retain(1).unwrap();
    let left: Vec<u64> = store.names().unwrap().iter().map(|n| n.number).collect();
    assert_eq!(left, [2, 10]);
    store
        .remove(Name {
            epoch: 1,
            number: 10,
        })
        .unwrap();

    // One whose base is gone is not written.
    storage.delete(base).unwrap();
    let error = add(6, more).unwrap_err().to_string();
    assert!(
        error.contains("000000000003, which the checkpoint builds on"),
        "{error}"
    );
    add(7, Vec::new()).unwrap();
    assert_eq!(newest(&store), (Some(7), 0));
}

#[test]
fn a_name_is_claimed_once_and_another_pipeline_is_another_world() {
    let folder = tempfile::tempdir().unwrap();
    let storage = ObjectStorage::open(folder.path().to_str().unwrap()).unwrap();
    assert!(storage.put_new("shop/lease-1", vec![1]).unwrap());
    assert!(!storage.put_new("shop/lease-1", vec![2]).unwrap());
    assert_eq!(storage.get("shop/lease-1").unwrap(), Some(vec![1]));
    assert_eq!(storage.get("shop/lease-2").unwrap(), None);
    storage.put("shop2/lease-1", vec![3; 20 << 20]).unwrap();
    assert_eq!(storage.list("shop/").unwrap().len(), 1);
    assert_eq!(
        storage.get("shop2/lease-1").unwrap(),
        Some(vec![3; 20 << 20])
    );
    storage.delete("shop/lease-1").unwrap();
    storage.delete("shop/lease-1").unwrap();
    assert_eq!(storage.list("shop/").unwrap(), []);
}
