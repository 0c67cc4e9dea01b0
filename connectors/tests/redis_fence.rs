//! Several owners of one pipeline, and pipelines that the server runs late.

#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Int64, Utf8};
use proxy::Proxy;
use redis::{Commands, cmd};
use redis_server::RedisServer;
use std::time::{Duration, Instant};
use tables::{Col, open_owned, progress, table, upserts};
use tidewheel_core::{ChangeBatch, Sink, SinkError, TableSpec};

/// No test waits longer for something that must come.
const PATIENCE: Duration = Duration::from_secs(60);

fn features(url: &str, more: &[(&str, &str)]) -> TableSpec {
    let mut options = vec![
        ("connector", "redis"),
        ("url", url),
        ("key", "user:{user_key}:{column}"),
    ];
    options.extend_from_slice(more);
    table(&[("user_key", Utf8), ("views", Int64)], 1, &options)
}

fn users(table: &TableSpec, users: u32, views: i64) -> ChangeBatch {
    let keys = (0..users).map(|user| Some(format!("u{user}"))).collect();
    let views = Col::Int(vec![Some(views); users as usize]);
    upserts(table, &[Col::Owned(keys), views])
}

fn views(server: &RedisServer, user: u32) -> Option<i64> {
    let mut redis = server.connection();
    redis.get(format!("user:u{user}:views")).expect("GET")
}

fn fatal(result: Result<(), SinkError>) -> String {
    match result {
        Err(SinkError::Fatal(message)) => message,
        other => panic!("expected Fatal, got {other:?}"),
    }
}

/// Writes until it is acknowledged.
fn write_at_last(sink: &mut dyn Sink, batch: &ChangeBatch, offset: u64) {
    let begin = Instant::now();
    while let Err(error) = sink.write(batch, &progress(offset)) {
        assert!(!matches!(error, SinkError::Fatal(_)), "{error}");
        assert!(begin.elapsed() < PATIENCE, "{error}");
    }
}

#[test]
fn a_former_owner_writes_nothing_once_the_next_has_begun() {
    let server = RedisServer::start(&[]);
    let table = features(&server.url(), &[]);
    let mut former = open_owned(&table, 1, None);
    former
        .write(&users(&table, 3, 1), &progress(1))
        .expect("written");
    // It has an open connection; another pipeline's and another program's stay.
    let mut other = tidewheel_core::SinkRequest {
        owner: Some(tidewheel_core::Owner {
            pipeline: "shop 2".to_owned(),
            epoch: 1,
        }),
        ..tables::owned(&table, 1, None)
    };
    other.query = "other".to_owned();
    let mut other = tables::try_request(&other).expect("opens");
    other
        .write(&users(&table, 1, 1), &progress(1))
        .expect("written");

    let mut next = open_owned(&table, 2, None);
    assert_eq!(next.progress().expect("answers"), Some(progress(1)));
    let mut clients: String = cmd("CLIENT")
        .arg("LIST")
        .query(&mut server.connection())
        .expect("CLIENT LIST");
    clients.push('\n');
    assert!(!clients.contains("name=tidewheel:shop:1 "), "{clients}");
    assert!(clients.contains("name=tidewheel:shop:2 "), "{clients}");
    assert!(clients.contains("name=tidewheel:shop%202:1 "), "{clients}");

    next.write(&users(&table, 3, 2), &progress(2))
        .expect("written");
    let mut result = former.write(&users(&table, 3, 9), &progress(9));
    if let Err(SinkError::Retry(_)) = result {
        result = former.write(&users(&table, 3, 9), &progress(9));
    }
    for _ in 0..2 {
        let message = fatal(result);
        assert!(
            message.contains("another process has taken over the pipeline 'shop'"),
            "{message}"
        );
        assert!(message.contains("epoch 2"), "{message}");
        result = former.write(&users(&table, 3, 9), &progress(9));
    }
    assert!(matches!(former.progress(), Err(SinkError::Fatal(_))));
    assert_eq!(views(&server, 0), Some(2));
    assert_eq!(next.progress(), Ok(Some(progress(2))));
    next.write(&users(&table, 3, 3), &progress(3))
        .expect("goes on");
    other
        .write(&users(&table, 1, 4), &progress(2))
        .expect("another pipeline goes on");
    // Epochs of one owner are alike: several queries write at a time.
    let mut beside = open_owned(&table, 2, None);
    beside
        .write(&users(&table, 1, 5), &progress(3))
        .expect("written");
    next.write(&users(&table, 1, 6), &progress(4))
        .expect("goes on");
}

#[test]
fn what_a_former_owner_has_under_way_never_lands() {
    let server = RedisServer::start(&[]);
    let network = Proxy::start(server.port);
    let slow = features(
        &format!("redis://127.0.0.1:{}", network.port),
        &[("response.timeout", "200 ms")],
    );
    let table = features(&server.url(), &[]);
    let mut former = open_owned(&slow, 1, None);
    former
        .write(&users(&slow, 3, 1), &progress(5))
        .expect("written");
    network.hold();
    // No progress is to be written, so that the values themselves are under way.
    let result = former.write(&users(&slow, 3, 7), &progress(5));
    assert!(matches!(result, Err(SinkError::Retry(_))), "{result:?}");
    let mut next = open_owned(&table, 2, None);
    next.write(&users(&table, 3, 8), &progress(8))
        .expect("written");
    assert!(network.deliver() > 0);
    settle(&server);
    assert_eq!(views(&server, 2), Some(8));
    fatal(former.write(&users(&slow, 3, 9), &progress(9)));
}

#[test]
fn what_timed_out_on_the_way_never_lands_after_newer_values() {
    let server = RedisServer::start(&[]);
    for owner in [true, false] {
        let network = Proxy::start(server.port);
        let table = features(
            &format!("redis://127.0.0.1:{}", network.port),
            &[("response.timeout", "200 ms")],
        );
        let mut sink = if owner {
            open_owned(&table, 1, None)
        } else {
            tables::open(&table)
        };
        sink.write(&users(&table, 3, 1), &progress(5))
            .expect("written");
        for value in [2, 4, 6] {
            network.hold();
            let result = sink.write(&users(&table, 3, value), &progress(5));
            assert!(matches!(result, Err(SinkError::Retry(_))), "{result:?}");
            // By a new connection, which is the next to be slow.
            write_at_last(&mut *sink, &users(&table, 3, value + 1), 5);
        }
        write_at_last(&mut *sink, &users(&table, 3, 9), 5);
        assert!(network.deliver() > 0);
        settle(&server);
        assert_eq!(views(&server, 2), Some(9), "owner: {owner}");
    }
}

#[test]
fn a_server_that_stands_still_ends_with_the_newest_values() {
    let server = RedisServer::start(&[]);
    for (round, mode) in ["WRITE", "ALL", "STOP"].into_iter().enumerate() {
        let base = round as i64 * 100;
        let table = features(
            &server.url(),
            &[
                ("response.timeout", "200 ms"),
                ("connect.timeout", "200 ms"),
            ],
        );
        let mut sink = open_owned(&table, 5, None);
        write_at_last(&mut *sink, &users(&table, 2_000, base + 1), base as u64 + 1);
        match mode {
            "STOP" => signal(&server, "STOP"),
            _ => pause(&server, mode),
        }
        // Several pipelines time out, one after the other, the connections with them.
        for value in 2..5 {
            let result = sink.write(
                &users(&table, 2_000, base + value),
                &progress(base as u64 + 2),
            );
            assert!(
                matches!(result, Err(SinkError::Retry(_))),
                "{mode}: {result:?}"
            );
        }
        match mode {
            "STOP" => signal(&server, "CONT"),
            "WRITE" => unpause(&server),
            // Nobody is heard until the pause has passed.
            _ => {}
        }
        write_at_last(
            &mut *sink,
            &users(&table, 2_000, base + 50),
            base as u64 + 3,
        );
        settle(&server);
        for user in [0, 999, 1_999] {
            assert_eq!(views(&server, user), Some(base + 50), "{mode}");
        }
    }
}

#[test]
fn an_account_that_may_not_end_connections_still_gives_way() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let mut account = |name: &str, rules: &[&str]| {
        let mut set = cmd("ACL");
        set.arg("SETUSER").arg(name).arg("on").arg(">secret");
        set.arg(&["~user:*", "~tidewheel:progress:*"]).arg(rules);
        let _: () = set.query(&mut redis).expect("ACL SETUSER");
    };
    let few = [
        "+set",
        "+get",
        "+hset",
        "+hget",
        "+hgetall",
        "+exists",
        "+evalsha",
        "+script|load",
    ];
    account("none", &["+set", "+hset", "+exists"]);
    account("noepoch", &few);
    account("few", &["~tidewheel:epoch:*"]);
    account("few", &few);
    let spec = |user: &str| {
        features(
            &format!("redis://{user}:secret@127.0.0.1:{}", server.port),
            &[],
        )
    };
    for user in ["none", "noepoch"] {
        let table = spec(user);
        match open_owned(&table, 1, None).write(&users(&table, 1, 1), &progress(1)) {
            Err(SinkError::Retry(message)) => {
                for part in ["tidewheel:epoch:*", "+evalsha", "+script|load"] {
                    assert!(message.contains(part), "{user}: {message}");
                }
            }
            other => panic!("expected Retry, got {other:?}"),
        }
    }
    let table = spec("few");
    let mut former = open_owned(&table, 1, None);
    former
        .write(&users(&table, 1, 1), &progress(1))
        .expect("written");
    let mut next = open_owned(&table, 2, None);
    next.write(&users(&table, 1, 2), &progress(2))
        .expect("written");
    // Its connection is there still; what it has to say of its progress is refused.
    fatal(former.write(&users(&table, 1, 9), &progress(9)));
    assert_eq!(views(&server, 0), Some(2));
}

/// Pauses commands for two seconds.
fn pause(server: &RedisServer, mode: &str) {
    let mut pause = cmd("CLIENT");
    pause.arg("PAUSE").arg(2_000).arg(mode);
    let _: () = pause.query(&mut server.connection()).expect("CLIENT PAUSE");
}

fn unpause(server: &RedisServer) {
    let mut command = cmd("CLIENT");
    command.arg("UNPAUSE");
    let _: () = command
        .query(&mut server.connection())
        .expect("CLIENT UNPAUSE");
}

/// Waits until the server has run what was sent to it before: the commands of connections that
/// are gone, too, since it takes them in the order of its event loop.
fn settle(server: &RedisServer) {
    for _ in 0..20 {
        let mut redis = server.connection();
        let _: String = redis.ping().expect("PING");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(server: &RedisServer, name: &str) {
    let status = std::process::Command::new("kill")
        .arg(format!("-{name}"))
        .arg(server.pid().to_string())
        .status()
        .expect("kill");
    assert!(status.success());
}
