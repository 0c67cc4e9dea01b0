//! Bad rows on their way to their table and back, to the byte, and never twice.

mod support_service;

use serde_json::Value;
use std::path::Path;
use support_service::run;

const SQL: &str = "CREATE TABLE bad (topic STRING, `partition` INT, `offset` BIGINT, reason STRING, \
    event_time TIMESTAMP(3), record STRING, encoding STRING) \
    WITH ('connector' = 'file', 'path' = 'bad.jsonl');\n\
    CREATE TABLE events (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) \
    WITH ('connector' = 'file', 'format' = 'json', 'path' = 'events.jsonl', 'bad-rows.table' = 'bad');\n\
    CREATE TABLE now (k STRING, c BIGINT, PRIMARY KEY (k) NOT ENFORCED) \
    WITH ('connector' = 'blackhole');\n\
    INSERT INTO now SELECT k, COUNT(*) \
    FROM TABLE(HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '60' SECOND)) \
    GROUP BY k, window_start, window_end;\n";

/// Runs `replay` with these arguments, and gives what it counted.
fn replay(folder: &Path, arguments: &[&str]) -> Value {
    let all = [&["--json", "replay", "bad.jsonl"], arguments].concat();
    let output = run(folder, &all);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn bad_rows_are_replayed_to_the_byte_and_never_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let bad: [&[u8]; 3] = [
        b"{\"k\":\"broken \xff\xfe\",",
        "{\"k\":\"no time, ü\"}".as_bytes(),
        b"{\"k\":\"no time\"}",
    ];
    let good: &[u8] = b"{\"k\":\"a\",\"ts\":\"2024-03-01T00:00:00Z\"}";
    let lines = [good, bad[0], bad[1], good, bad[2]].map(|line| [line, b"\n"].concat());
    std::fs::write(folder.join("events.jsonl"), lines.concat()).expect("written");
    std::fs::write(folder.join("q.sql"), SQL).expect("written");
    let output = run(folder, &["run", "q.sql"]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");

    let into = ["--into", "again.jsonl"];
    let dry = replay(folder, &[&into[..], &["--dry-run"]].concat());
    assert_eq!(dry["sent"], 3, "{dry}");
    assert!(!folder.join("again.jsonl").exists());
    let some = replay(
        folder,
        &[&into[..], &["--reason", "no event time"]].concat(),
    );
    assert_eq!(
        (&some["sent"], &some["filtered"]),
        (&2.into(), &1.into()),
        "{some}"
    );
    let rest = replay(folder, &into);
    assert_eq!(
        (&rest["sent"], &rest["sent_before"]),
        (&1.into(), &2.into()),
        "{rest}"
    );
    assert_eq!(replay(folder, &into)["sent"], 0);
    let sent = std::fs::read(folder.join("again.jsonl")).expect("read");
    let want = [bad[1], bad[2], bad[0]].map(|line| [line, b"\n"].concat());
    assert_eq!(sent, want.concat());

    // Another target is another matter; so is being asked to.
    let log = replay(folder, &["--into", "log:again", "--limit", "2"]);
    assert_eq!(log["sent"], 2, "{log}");
    assert_eq!(
        replay(folder, &[&into[..], &["--again"]].concat())["sent"],
        3
    );
    let missing = run(folder, &["replay", "nothing.jsonl", "--into", "x"]);
    assert_eq!(missing.status.code(), Some(1));
    let unclear = run(folder, &["replay", "bad.jsonl", "--into", "kafka:"]);
    assert_eq!(unclear.status.code(), Some(2));
}
