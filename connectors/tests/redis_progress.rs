//! What Redis remembers of a query's progress.

#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/progress.rs"]
mod remembers;
#[path = "support/tables.rs"]
mod tables;

use redis::Commands;
use redis_server::RedisServer;
use remembers::{
    at, features, is_read_back_and_never_goes_back, notes_stay_until_they_are_dropped, one,
};
use std::collections::BTreeMap;
use tables::{open, open_owned};
use tidewheel_core::SinkError;

#[test]
fn redis_remembers() {
    let server = RedisServer::start(&[]);
    let table = features("redis", ("url", &server.url()));
    is_read_back_and_never_goes_back(&table);
    let mut redis = server.connection();
    let fields: BTreeMap<String, String> =
        redis.hgetall("tidewheel:progress:shop:q").expect("HGETALL");
    assert_eq!(fields["offset:a:b:1"], "11");
    assert_eq!(fields["frontier"], "4");
    // Without an owner it stands by table, as ever.
    let mut sink = open(&table);
    sink.write(&one(&table), &at(&[("a", 0, 3)], None))
        .expect("written");
    assert_eq!(sink.progress(), Ok(Some(at(&[("a", 0, 3)], None))));
    assert!(
        redis
            .exists::<_, bool>("tidewheel:progress:features")
            .expect("EXISTS")
    );
}

#[test]
fn flushed_data_is_noticed_after_progress_was_read_back() {
    let server = RedisServer::start(&[]);
    let table = features("redis", ("url", &server.url()));
    let batch = one(&table);
    let progress = |offset| at(&[("a", 0, offset)], Some(1));
    open_owned(&table, 1, None)
        .write(&batch, &progress(1))
        .expect("written");
    let mut sink = open_owned(&table, 2, None);
    assert_eq!(sink.progress(), Ok(Some(progress(1))));
    let mut redis = server.connection();
    for offset in 2..4 {
        let _: () = redis.flushall().expect("FLUSHALL");
        let lost = sink.write(&batch, &progress(offset));
        assert!(matches!(lost, Err(SinkError::Rewrite(_))), "{lost:?}");
        sink.write(&batch, &progress(offset)).expect("goes on");
        assert_eq!(
            redis.get::<_, u64>("tidewheel:epoch:shop"),
            Ok(2),
            "claimed again"
        );
    }
}

#[test]
fn redis_keeps_notes() {
    let server = RedisServer::start(&[]);
    let table = features("redis", ("url", &server.url()));
    notes_stay_until_they_are_dropped(&table);
    // A former owner may not drop what a later one needs.
    let mut former = open_owned(&table, 1, None);
    let refused = former.note(&[], 9, Some(u64::MAX));
    assert!(matches!(refused, Err(SinkError::Fatal(_))), "{refused:?}");
    let mut redis = server.connection();
    let noted: Vec<String> = redis
        .zrange("tidewheel:progress:shop:q#keys", 0, -1)
        .expect("ZRANGE");
    assert_eq!(noted, ["61", "64"]);
}
