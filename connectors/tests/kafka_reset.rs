//! Places that are not there any more: retention has passed, or a topic was made anew.

mod support_kafka;

use rdkafka::admin::AdminOptions;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use support_kafka::{Broker, PATIENCE, Reading, block_on, texts};
use tidewheel_connectors::kafka::KafkaConnector;
use tidewheel_core::{Connector, Mark};

/// Deletes the records before an offset, as retention does.
fn delete_before(broker: &Broker, topic: &str, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(offset))
        .expect("adds");
    block_on(broker.admin().delete_records(&list, &AdminOptions::new())).expect("deletes");
}

/// Deletes a topic and makes it anew.
fn make_anew(broker: &Broker, topic: &str) {
    let admin = broker.admin();
    block_on(admin.delete_topics(&[topic], &AdminOptions::new())).expect("asks")[0]
        .as_ref()
        .expect("deletes");
    let begin = Instant::now();
    loop {
        let metadata = admin
            .inner()
            .fetch_metadata(Some(topic), Duration::from_secs(5))
            .expect("answers");
        if metadata.topics()[0].partitions().is_empty() {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "the topic does not go");
        std::thread::sleep(Duration::from_millis(50));
    }
    broker.create_topic(topic, 1);
}

/// A reader that goes on from an offset.
fn go_on(
    broker: &Broker,
    topic: &str,
    from: u64,
    marks: &BTreeMap<u32, Mark>,
    on_reset: &str,
) -> Reading {
    let mut request = broker.request(topic, &[("scan.on-reset", on_reset)]);
    request.start.insert(0, from);
    let mut reading = Reading::open(&request);
    reading.source.verify(marks.clone());
    reading
}

#[test]
fn records_that_retention_took_are_told_or_counted() {
    let broker = Broker::shared();
    broker.create_topic("retention", 1);
    broker.write("retention", 0, texts("x", 0..10));
    delete_before(broker, "retention", 6);
    let mut request = broker.request("retention", &[]);
    request.start.insert(0, 4);
    let refused = KafkaConnector.source(&request).err().expect("refused");
    for part in ["2 records were deleted", "'scan.on-reset' = 'earliest'"] {
        assert!(refused.message.contains(part), "{refused}");
    }
    let none = BTreeMap::new();
    let mut earliest = go_on(broker, "retention", 4, &none, "earliest");
    earliest.until("the rest", |r| r.count() == 4);
    assert_eq!(earliest.values(0), texts("x", 6..10));
    assert_eq!(earliest.source.lost(), 2);
    let mut latest = go_on(broker, "retention", 4, &none, "latest");
    assert_eq!(latest.source.lost(), 6);
    broker.write("retention", 0, texts("y", 0..2));
    latest.until("what is new", |r| r.count() == 2);
    assert_eq!(latest.values(0), texts("y", 0..2));
    assert_eq!(
        go_on(broker, "retention", 6, &none, "fail").source.lost(),
        0
    );
}

#[test]
fn a_topic_made_anew_is_told_after_a_restart() {
    let broker = Broker::shared();
    for (topic, grown) in [("anew-short", 3), ("anew-long", 30)] {
        broker.create_topic(topic, 1);
        broker.write(topic, 0, texts("old", 0..10));
        let mut first = broker.read(topic, &[]);
        first.until("all records", |r| r.count() == 10);
        let marks = first.source.marks();
        assert_eq!(marks[&0].offset, 9);
        drop(first);
        // The same topic is known again.
        let mut same = go_on(broker, topic, 10, &marks, "fail");
        broker.write(topic, 0, texts("old", 10..12));
        same.until("what came after", |r| r.count() == 2);
        assert_eq!(same.values(0), texts("old", 10..12));
        assert_eq!(same.source.marks()[&0].offset, 11);
        drop(same);

        make_anew(broker, topic);
        broker.write(topic, 0, texts("new", 0..grown));
        let message = if grown < 10 {
            let mut request = broker.request(topic, &[]);
            request.start.insert(0, 10);
            KafkaConnector
                .source(&request)
                .err()
                .expect("refused")
                .message
        } else {
            go_on(broker, topic, 10, &marks, "fail").until_error()
        };
        assert!(message.contains("made anew"), "{message}");
        assert!(
            message.contains("'scan.on-reset' = 'earliest'"),
            "{message}"
        );
        let mut earliest = go_on(broker, topic, 10, &marks, "earliest");
        earliest.until("all that is new", |r| r.count() == grown as usize);
        assert_eq!(earliest.values(0), texts("new", 0..grown));
        let mut latest = go_on(broker, topic, 10, &marks, "latest");
        latest.until("the end", |r| !r.at_end.is_empty());
        broker.write(topic, 0, texts("newer", 0..2));
        latest.until("the newest", |r| r.count() == 2);
        assert_eq!(latest.values(0), texts("newer", 0..2));
        assert_eq!(latest.source.lost(), u64::from(grown));
    }
}

/// Under a reader the client may miss the topic, or find another end, or go on in the middle of the
/// new one: each is told, and where reading goes on all of the new topic is read.
#[test]
fn a_topic_made_anew_under_a_reader_is_told() {
    let broker = Broker::shared();
    for (topic, grown) in [("under-short", 3), ("under-long", 30)] {
        broker.create_topic(topic, 1);
        broker.write(topic, 0, texts("old", 0..10));
        let open = |on_reset| {
            let options = [
                ("scan.on-reset", on_reset),
                ("scan.reset-check.interval", "500 ms"),
            ];
            let mut reading = broker.read(topic, &options);
            reading.until("all records", |r| r.count() == 10);
            reading
        };
        let mut fails = open("fail");
        let mut goes_on = open("earliest");
        make_anew(broker, topic);
        broker.write(topic, 0, texts("new", 0..grown));
        let message = fails.until_error();
        assert!(message.contains("made anew"), "{topic}: {message}");
        let new = texts("new", 0..grown);
        let ends_with = |r: &Reading, texts: &[String]| {
            let values = r.values(0);
            values.len() >= texts.len() && values[values.len() - texts.len()..] == *texts
        };
        goes_on.until("all that is new", |r| ends_with(r, &new));
        assert_eq!(goes_on.values(0)[..10], texts("old", 0..10));
        // It is the same topic from now on.
        broker.write(topic, 0, texts("newer", 0..2));
        let newer = texts("newer", 0..2);
        goes_on.until("what is newer", |r| ends_with(r, &newer));
        for _ in 0..40 {
            goes_on.step().expect("it is not told twice");
        }
        assert!(ends_with(&goes_on, &newer), "{:?}", goes_on.values(0));
    }
}

/// Nothing was read that could be known again.
#[test]
fn an_empty_topic_made_anew_under_a_reader_is_read() {
    let broker = Broker::shared();
    let topic = "under-empty";
    broker.create_topic(topic, 1);
    let mut reading = broker.read(topic, &[("scan.reset-check.interval", "500 ms")]);
    reading.until("the end", |r| !r.at_end.is_empty());
    make_anew(broker, topic);
    broker.write(topic, 0, texts("new", 0..3));
    reading.until("all that is new", |r| r.count() == 3);
    for _ in 0..40 {
        reading.step().expect("goes on");
    }
    broker.write(topic, 0, texts("new", 3..5));
    reading.until("what is newer", |r| r.count() == 5);
    assert_eq!(reading.values(0), texts("new", 0..5));
}

#[test]
fn nothing_is_read_before_the_place_was_compared() {
    let broker = Broker::new();
    broker.start();
    broker.create_topic("away", 1);
    broker.write("away", 0, texts("x", 0..5));
    let mut first = broker.read("away", &[]);
    first.until("all records", |r| r.count() == 5);
    let marks = first.source.marks();
    drop(first);
    broker.write("away", 0, texts("x", 5..8));
    broker.kill();
    let mut second = go_on(&broker, "away", 5, &marks, "fail");
    second.until("word that it is away", |r| !r.away.is_empty());
    assert_eq!(
        second.source.marks(),
        marks,
        "they are kept for the next checkpoint"
    );
    broker.start();
    second.until("the rest", |r| r.count() == 3);
    assert_eq!(second.values(0), texts("x", 5..8));
}
