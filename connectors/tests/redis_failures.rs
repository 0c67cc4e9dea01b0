//! Redis away, empty, full, read-only, or with a key of another type: what the sink answers.

#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Int64, Utf8};
use redis::Commands;
use redis_server::{RedisServer, free_port};
use std::process::Command;
use tables::{Col, open, progress, table, try_open, upserts};
use tidewheel_core::{ChangeBatch, SinkError, TableSpec};

fn features(url: &str, more: &[(&str, &str)]) -> TableSpec {
    let mut options = vec![
        ("connector", "redis"),
        ("url", url),
        ("key", "user:{user_key}:{column}"),
        ("connect.timeout", "2 s"),
    ];
    options.extend_from_slice(more);
    table(&[("user_key", Utf8), ("views", Int64)], 1, &options)
}

fn users(table: &TableSpec, users: &[&str], views: i64) -> ChangeBatch {
    let keys = users.iter().map(|user| Some((*user).to_owned())).collect();
    upserts(
        table,
        &[Col::Owned(keys), Col::Int(vec![Some(views); users.len()])],
    )
}

fn retry(result: Result<(), SinkError>) -> String {
    match result {
        Err(SinkError::Retry(message)) => message,
        other => panic!("expected Retry, got {other:?}"),
    }
}

fn rewrite(result: &Result<(), SinkError>) {
    assert!(
        matches!(result, Err(SinkError::Rewrite(_))),
        "expected Rewrite, got {result:?}"
    );
}

#[test]
fn a_server_that_comes_back_empty_gets_everything_again() {
    let mut server = RedisServer::start(&[]);
    let table = features(&server.url(), &[]);
    let mut sink = open(&table);
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("written");
    server.kill();
    let message = retry(sink.write(&batch, &progress(2)));
    assert!(message.contains(&server.port.to_string()), "{message}");
    retry(sink.write(&batch, &progress(2)));
    server.start_again();
    rewrite(&sink.write(&batch, &progress(2)));
    let written: bool = server.connection().exists("user:u1:views").expect("EXISTS");
    assert!(
        !written,
        "nothing is written before the engine has begun to write everything"
    );
    sink.write(&batch, &progress(2))
        .expect("said once, then it goes on");
    assert_eq!(
        server
            .connection()
            .get::<_, i64>("user:u1:views")
            .expect("GET"),
        1
    );
}

#[test]
fn a_lost_connection_to_a_server_that_kept_its_data_is_only_retried() {
    let server = RedisServer::start(&[]);
    let table = features(&server.url(), &[]);
    let mut sink = open(&table);
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("written");
    let mut redis = server.connection();
    let clients: String = redis::cmd("CLIENT")
        .arg("LIST")
        .query(&mut redis)
        .expect("CLIENT LIST");
    assert!(clients.contains("name=tidewheel:features"), "{clients}");
    let ended: i64 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut redis)
        .expect("CLIENT KILL");
    // The connection that the server was asked by at its start may still be there as well.
    assert!(ended >= 1);
    retry(sink.write(&batch, &progress(2)));
    sink.write(&batch, &progress(2)).expect("written");
}

#[test]
fn flushed_data_is_noticed_with_and_without_a_reconnect() {
    let server = RedisServer::start(&[]);
    let table = features(&server.url(), &[]);
    let mut sink = open(&table);
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("written");
    let mut redis = server.connection();
    let _: () = redis.flushall().expect("FLUSHALL");
    rewrite(&sink.write(&batch, &progress(2)));
    sink.write(&batch, &progress(2))
        .expect("said once, then it goes on");

    let _: () = redis.flushall().expect("FLUSHALL");
    let kill = ["KILL", "TYPE", "normal", "SKIPME", "yes"];
    let _: i64 = redis::cmd("CLIENT")
        .arg(&kill)
        .query(&mut redis)
        .expect("CLIENT KILL");
    retry(sink.write(&batch, &progress(3)));
    rewrite(&sink.write(&batch, &progress(3)));
    // A partition that is new is no sign of lost data.
    sink.write(&batch, &progress(3)).expect("written");
    let mut more = progress(4);
    more.offsets.push(("events".to_owned(), 1, 9));
    sink.write(&batch, &more).expect("written");
}

#[test]
fn lost_data_is_noticed_without_a_write() {
    let mut server = RedisServer::start(&[]);
    let table = features(&server.url(), &[]);
    let mut sink = open(&table);
    let port = server.port;
    server.kill();
    sink.verify()
        .expect("nothing was written that could be lost");
    server.start_again();
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("written");
    sink.verify().expect("stands");
    let _: () = server.connection().flushall().expect("FLUSHALL");
    rewrite(&sink.verify());
    sink.write(&batch, &progress(1)).expect("written again");
    sink.verify().expect("stands again");

    server.kill();
    let message = retry(sink.verify());
    assert!(message.contains(&port.to_string()), "{message}");
    server.start_again();
    rewrite(&sink.verify());
}

#[test]
fn a_write_to_nowhere_is_retried() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let table = features(&url, &[]);
    let mut sink = try_open(&table).unwrap_or_else(|e| panic!("opening needs no server: {e}"));
    let message = retry(sink.write(&users(&table, &["u1"], 1), &progress(1)));
    assert!(
        message.contains("cannot connect to Redis at 127.0.0.1"),
        "{message}"
    );
}

#[test]
fn a_wrong_or_missing_password_is_told_and_may_be_put_right() {
    let server = RedisServer::start(&["--requirepass", "sesame"]);
    let wrong = features(&server.url(), &[("password", "open")]);
    let message = retry(open(&wrong).write(&users(&wrong, &["u1"], 1), &progress(1)));
    assert!(
        message.contains("'password'") && !message.contains("open sesame"),
        "{message}"
    );
    let none = features(&server.url(), &[]);
    let message = retry(open(&none).write(&users(&none, &["u1"], 1), &progress(1)));
    assert!(message.contains("set the option 'password'"), "{message}");
    let right = features(&server.url(), &[("password", "sesame")]);
    open(&right)
        .write(&users(&right, &["u1"], 1), &progress(1))
        .expect("written");
    let in_url = features(&format!("redis://:sesame@127.0.0.1:{}", server.port), &[]);
    open(&in_url)
        .write(&users(&in_url, &["u1"], 1), &progress(1))
        .expect("written");
}

#[test]
fn a_full_server_is_retried_until_it_has_room() {
    let server = RedisServer::start(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]);
    let mut redis = server.connection();
    let table = features(&server.url(), &[]);
    let mut sink = open(&table);
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("there is room");
    let limit = |redis: &mut redis::Connection, value: &str| {
        let set = ["SET", "maxmemory", value];
        let _: () = redis::cmd("CONFIG")
            .arg(&set)
            .query(redis)
            .expect("CONFIG SET");
    };
    limit(&mut redis, "1mb");
    for _ in 0..2 {
        let message = retry(sink.write(&batch, &progress(2)));
        assert!(
            message.contains("OOM") && message.contains("maxmemory"),
            "{message}"
        );
    }
    limit(&mut redis, "100mb");
    sink.write(&batch, &progress(2)).expect("written");
}

#[test]
fn a_replica_is_retried_until_it_is_the_primary() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let table = features(&server.url(), &[]);
    let mut sink = open(&table);
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("written");
    let replica = |redis: &mut redis::Connection, host: &str, port: &str| {
        let _: () = redis::cmd("REPLICAOF")
            .arg(host)
            .arg(port)
            .query(redis)
            .expect("REPLICAOF");
    };
    replica(&mut redis, "127.0.0.1", &free_port().to_string());
    let message = retry(sink.write(&batch, &progress(2)));
    assert!(
        message.contains("READONLY") && message.contains("primary"),
        "{message}"
    );
    replica(&mut redis, "NO", "ONE");
    sink.write(&batch, &progress(2)).expect("written");
}

#[test]
fn a_server_that_hangs_is_retried_after_the_timeout() {
    let server = RedisServer::start(&[]);
    let table = features(&server.url(), &[("response.timeout", "200 ms")]);
    let mut sink = open(&table);
    sink.write(&users(&table, &["u1"], 1), &progress(1))
        .expect("written");
    signal(&server, "STOP");
    retry(sink.write(&users(&table, &["u1"], 2), &progress(2)));
    signal(&server, "CONT");
    sink.write(&users(&table, &["u1"], 3), &progress(3))
        .expect("written");
    assert_eq!(
        server
            .connection()
            .get::<_, i64>("user:u1:views")
            .expect("GET"),
        3
    );
}

fn signal(server: &RedisServer, name: &str) {
    let pid = server.pid().to_string();
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid)
        .status()
        .expect("kill");
    assert!(status.success());
}

#[test]
fn one_failing_command_does_not_hide_the_others() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    for (ttl, key) in [(None, "a:{user_key}"), (Some("1 min"), "b:{user_key}")] {
        let mut options = vec![
            ("layout", "hash"),
            ("key", key),
            ("batch.max-bytes", "1 kb"),
        ];
        options.extend(ttl.map(|ttl| ("ttl", ttl)));
        let table = features(&server.url(), &options);
        let mut sink = open(&table);
        let names: Vec<String> = (0..100).map(|i| format!("u{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let blocked = key.replace("{user_key}", "u50");
        let _: () = redis.set(&blocked, "not a hash").expect("SET");
        let batch = users(&table, &names, 7);
        let message = retry(sink.write(&batch, &progress(1)));
        assert!(
            message.contains(&format!("HSET {blocked}: WRONGTYPE")),
            "{message}"
        );
        assert_eq!(sink.writes(), 99);
        for name in names.iter().filter(|name| **name != "u50") {
            let views: i64 = redis
                .hget(key.replace("{user_key}", name), "views")
                .expect("HGET");
            assert_eq!(views, 7, "{name}");
        }
        let _: () = redis.del(&blocked).expect("DEL");
        sink.write(&batch, &progress(1))
            .expect("written again, whole");
    }
}

#[test]
fn scripts_that_the_server_dropped_are_loaded_again() {
    let server = RedisServer::start(&[]);
    let table = features(
        &server.url(),
        &[
            ("layout", "hash"),
            ("key", "h:{user_key}"),
            ("ttl", "1 min"),
        ],
    );
    let mut sink = open(&table);
    let batch = users(&table, &["u1"], 1);
    sink.write(&batch, &progress(1)).expect("written");
    let mut redis = server.connection();
    let _: () = redis::cmd("SCRIPT")
        .arg("FLUSH")
        .query(&mut redis)
        .expect("SCRIPT FLUSH");
    retry(sink.write(&batch, &progress(2)));
    sink.write(&batch, &progress(2)).expect("written");
    // A hash of another writer's that never expires is not given an end.
    assert!(redis.pttl::<_, i64>("h:u1").expect("PTTL") > 0);
}
