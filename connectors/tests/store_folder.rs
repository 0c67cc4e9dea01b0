//! The store against a plain map: any writes, readers that refresh now and then, generations
//! that begin meanwhile, ends torn at every byte, and a writer killed in the middle.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidewheel_connectors::store::{
    Entry, Fsync, NEVER, Op, StoreError, StoreReader, StoreWriter, Value,
};

fn open(path: &Path) -> StoreWriter {
    StoreWriter::open(path, Fsync::Never).expect("opens")
}

fn set(key: &str, text: &str, expire_ms: i64) -> Op {
    Op::Set {
        key: key.into(),
        text: text.into(),
        expire_ms,
    }
}

/// What Redis does with the same commands, on a plain map.
#[derive(Default, Clone)]
struct Oracle(BTreeMap<String, Entry>);

impl Oracle {
    fn write(&mut self, now: i64, op: &Op) {
        self.0.retain(|_, entry| entry.expire_ms > now);
        match op {
            Op::Set {
                key,
                text,
                expire_ms,
            } => {
                let value = Value::Text(text.clone());
                self.0.insert(
                    key.clone(),
                    Entry {
                        value,
                        expire_ms: *expire_ms,
                    },
                );
            }
            Op::Delete { key } => {
                self.0.remove(key);
            }
            Op::HashSet {
                key,
                fields,
                expire_ms,
            } => {
                let mut own = match self.0.get(key) {
                    Some(Entry {
                        value: Value::Hash(own),
                        ..
                    }) => own.clone(),
                    _ => {
                        self.0.remove(key);
                        BTreeMap::new()
                    }
                };
                own.extend(fields.iter().cloned());
                let before = self.0.get(key).map_or(i64::MIN, |entry| entry.expire_ms);
                let expire_ms = before.max(*expire_ms);
                self.0.insert(
                    key.clone(),
                    Entry {
                        value: Value::Hash(own),
                        expire_ms,
                    },
                );
            }
            Op::HashDelete { key, fields } => {
                if let Some(Entry {
                    value: Value::Hash(own),
                    ..
                }) = self.0.get_mut(key)
                {
                    own.retain(|name, _| !fields.contains(name));
                    if own.is_empty() {
                        self.0.remove(key);
                    }
                }
            }
            Op::SortedSet {
                key,
                member,
                score,
                expire_ms,
            } => {
                let mut own = match self.0.get(key) {
                    Some(Entry {
                        value: Value::Sorted(own),
                        ..
                    }) => own.clone(),
                    _ => {
                        self.0.remove(key);
                        BTreeMap::new()
                    }
                };
                own.insert(member.clone(), *score);
                let before = self.0.get(key).map_or(i64::MIN, |entry| entry.expire_ms);
                let expire_ms = before.max(*expire_ms);
                self.0.insert(
                    key.clone(),
                    Entry {
                        value: Value::Sorted(own),
                        expire_ms,
                    },
                );
            }
            Op::SortedDelete { key, member } => {
                if let Some(Entry {
                    value: Value::Sorted(own),
                    ..
                }) = self.0.get_mut(key)
                {
                    own.remove(member);
                    if own.is_empty() {
                        self.0.remove(key);
                    }
                }
            }
        }
    }

    fn live(&self, now: i64) -> BTreeMap<String, Entry> {
        let live = self.0.iter().filter(|(_, entry)| entry.expire_ms > now);
        live.map(|(key, entry)| (key.clone(), entry.clone()))
            .collect()
    }
}

fn live(reader: &StoreReader, now: i64) -> BTreeMap<String, Entry> {
    reader
        .iter(now)
        .map(|(key, entry)| (key.to_owned(), entry.clone()))
        .collect()
}

fn any_op() -> impl Strategy<Value = Op> {
    let key = prop::sample::select(vec!["a", "a:1", "a:2", "b", "ü"]).prop_map(str::to_owned);
    let name = || prop::sample::select(vec!["x", "y", "z"]).prop_map(str::to_owned);
    let text = "[a-z]{0,12}";
    let expire = prop_oneof![Just(NEVER), 0i64..60];
    (key, expire, 0u8..6).prop_flat_map(move |(key, expire_ms, kind)| match kind {
        0 => text
            .prop_map(move |text| Op::Set {
                key: key.clone(),
                text,
                expire_ms,
            })
            .boxed(),
        1 => Just(Op::Delete { key }).boxed(),
        2 => prop::collection::vec((name(), text), 1..3)
            .prop_map(move |fields| Op::HashSet {
                key: key.clone(),
                fields,
                expire_ms,
            })
            .boxed(),
        3 => prop::collection::vec(name(), 1..3)
            .prop_map(move |fields| Op::HashDelete {
                key: key.clone(),
                fields,
            })
            .boxed(),
        4 => (name(), -3.0..3.0)
            .prop_map(move |(member, score)| Op::SortedSet {
                key: key.clone(),
                member,
                score,
                expire_ms,
            })
            .boxed(),
        _ => name()
            .prop_map(move |member| Op::SortedDelete {
                key: key.clone(),
                member,
            })
            .boxed(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn readers_and_restarts_see_what_was_written(
        writes in prop::collection::vec(
            (prop::collection::vec(any_op(), 0..4), 0i64..4, 0u8..12), 1..50),
        compact_bytes in prop_oneof![Just(1u64), 50u64..600],
    ) {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut writer = open(folder.path()).with_compact_bytes(compact_bytes);
        let mut often = StoreReader::open(folder.path()).expect("opens");
        let mut seldom = StoreReader::open(folder.path()).expect("opens");
        let mut oracle = Oracle::default();
        let mut now = 0;
        for (ops, passes, then) in writes {
            now += passes;
            for op in &ops {
                oracle.write(now, op);
            }
            writer.write(now, ops).expect("writes");
            often.refresh().expect("refreshes");
            prop_assert_eq!(live(&often, now), oracle.live(now));
            match then {
                0 => {
                    drop(writer);
                    writer = open(folder.path()).with_compact_bytes(compact_bytes);
                }
                1 => {
                    seldom.refresh().expect("refreshes");
                    prop_assert_eq!(live(&seldom, now), oracle.live(now));
                }
                _ => {}
            }
            for (key, entry) in oracle.live(now) {
                prop_assert_eq!(writer.get(&key, now), Some(&entry));
            }
        }
        let wanted = oracle.live(now);
        let fresh = StoreReader::open(folder.path()).expect("opens");
        prop_assert_eq!(&live(&fresh, now), &wanted);
        let scanned: Vec<String> =
            fresh.scan_prefix("a:", now).map(|(key, _)| key.to_owned()).collect();
        let listed: Vec<String> =
            wanted.keys().filter(|key| key.starts_with("a:")).cloned().collect();
        prop_assert_eq!(scanned, listed);
        // Everything that expires is gone in the end.
        let last = live(&fresh, NEVER - 1);
        prop_assert!(last.values().all(|entry| entry.expire_ms == NEVER));
    }
}

fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("folder")
        .map(|e| e.expect("entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files
}

#[test]
fn a_write_torn_at_any_byte_is_there_as_a_whole_or_not_at_all() {
    let whole = tempfile::tempdir().expect("tempdir");
    let mut writer = open(whole.path());
    let log = files(whole.path(), ".log").pop().expect("a log");
    let mut ends = vec![0];
    for i in 0..4 {
        let text = i.to_string();
        writer
            .write(0, vec![set("a", &text, NEVER), set("b", &text, NEVER)])
            .expect("writes");
        ends.push(fs::metadata(&log).expect("metadata").len());
    }
    let bytes = fs::read(&log).expect("reads");
    for cut in 0..=bytes.len() {
        let torn = tempfile::tempdir().expect("tempdir");
        fs::write(
            torn.path().join(log.file_name().expect("name")),
            &bytes[..cut],
        )
        .expect("writes");
        let complete = ends.iter().filter(|end| **end <= cut as u64).count() - 1;
        let wanted = complete.checked_sub(1).map(|i| Value::Text(i.to_string()));
        let mut reader = StoreReader::open(torn.path()).expect("opens");
        for key in ["a", "b"] {
            assert_eq!(
                reader.get(key, 0).map(|e| e.value.clone()),
                wanted,
                "cut at {cut}"
            );
        }
        let mut writer = open(torn.path());
        assert_eq!(
            writer.get("b", 0).map(|e| e.value.clone()),
            wanted,
            "cut at {cut}"
        );
        writer
            .write(0, vec![set("c", "after", NEVER)])
            .expect("writes");
        reader.refresh().expect("refreshes");
        assert!(reader.get("c", 0).is_some(), "cut at {cut}");
        assert_eq!(
            reader.get("a", 0).map(|e| e.value.clone()),
            wanted,
            "cut at {cut}"
        );
    }
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives() {
    let folder = tempfile::tempdir().expect("tempdir");
    let first = open(folder.path());
    let error = StoreWriter::open(folder.path(), Fsync::Never)
        .err()
        .expect("refused");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    drop(first);
    open(folder.path());
    let none = tempfile::tempdir().expect("tempdir");
    let error = StoreReader::open(none.path()).expect_err("refused");
    assert!(matches!(error, StoreError::NoStore { .. }), "{error}");
}

#[test]
fn a_damaged_snapshot_is_told() {
    let folder = tempfile::tempdir().expect("tempdir");
    let mut writer = open(folder.path()).with_compact_bytes(1);
    writer
        .write(0, vec![set("a", "text", NEVER)])
        .expect("writes");
    drop(writer);
    let snapshot = files(folder.path(), ".snap").pop().expect("a snapshot");
    let mut bytes = fs::read(&snapshot).expect("reads");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&snapshot, bytes).expect("writes");
    let error = StoreReader::open(folder.path()).expect_err("refused");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

/// Not a test of its own: the body of a writer process, run by the test below.
#[test]
fn writer_process() {
    let Ok(path) = std::env::var("STORE_PATH") else {
        return;
    };
    let mut writer = open(path.as_ref()).with_compact_bytes(20_000);
    for i in 0..1_000_000u64 {
        let text = i.to_string();
        let key = format!("k{}", i % 50);
        let field = ("n".to_owned(), text.clone());
        let hash = Op::HashSet {
            key: "h".into(),
            fields: vec![field],
            expire_ms: NEVER,
        };
        writer
            .write(0, vec![set(&key, &text, NEVER), hash])
            .expect("writes");
        println!("ack {i}");
    }
}

#[test]
fn a_writer_that_is_killed_leaves_all_it_has_acknowledged() {
    for round in 0..5 {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut child = Command::new(std::env::current_exe().expect("exe"))
            .args(["--exact", "writer_process", "--nocapture"])
            .env("STORE_PATH", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("spawns");
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let number = |line: &str| {
            line.split_once("ack ")
                .and_then(|(_, n)| n.parse::<u64>().ok())
        };
        let mut reader = None;
        let (mut last, mut seen) = (0, 0);
        let lines = stdout.split(b'\n');
        let mut killed = false;
        for line in lines {
            let line = String::from_utf8(line.expect("reads")).expect("text");
            let Some(ack) = number(&line) else { continue };
            // The last line may be cut, and so read a smaller number.
            last = last.max(ack);
            if killed {
                continue;
            }
            // A reader in this process follows meanwhile and never goes back.
            if ack % 97 == 0 {
                let store =
                    reader.get_or_insert_with(|| StoreReader::open(folder.path()).expect("opens"));
                store.refresh().expect("refreshes");
                let now = hash_number(store.get("h", 0));
                assert!(
                    now >= seen && now >= ack,
                    "{now} after {seen}, acknowledged {ack}"
                );
                seen = now;
            }
            if ack >= 3_000 + round * 500 {
                child.kill().expect("kills");
                killed = true;
            }
        }
        child.wait().expect("waits");
        let writer = open(folder.path());
        let number = hash_number(writer.get("h", 0));
        assert!(
            number >= last && number >= seen,
            "{number}, acknowledged {last}, read {seen}"
        );
        // Of one write all is there: the text beside the hash says the same.
        let text = writer
            .get(&format!("k{}", number % 50), 0)
            .map(|e| e.value.clone());
        assert_eq!(text, Some(Value::Text(number.to_string())));
        for back in 1..50 {
            let key = format!("k{}", (number - back) % 50);
            let text = writer.get(&key, 0).map(|e| e.value.clone());
            assert_eq!(text, Some(Value::Text((number - back).to_string())));
        }
    }
}

fn hash_number(entry: Option<&Entry>) -> u64 {
    let Some(Entry {
        value: Value::Hash(fields),
        ..
    }) = entry
    else {
        return 0;
    };
    fields["n"].parse().expect("a number")
}
