//! The Kafka source against a real broker.

mod support_kafka;

use rdkafka::admin::{AdminOptions, NewPartitions};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use support_kafka::{Broker, PATIENCE, Reading, block_on, texts};
use tidewheel_connectors::kafka::{KafkaConnector, KafkaWriter};
use tidewheel_core::Connector;

const BOUNDED: (&str, &str) = ("scan.bounded.mode", "latest-offset");

#[test]
fn a_bounded_read_ends_and_holds_each_record_once() {
    let broker = Broker::shared();
    broker.create_topic("bounded", 3);
    broker.write("bounded", 0, texts("a", 0..5000));
    broker.write("bounded", 2, texts("c", 0..3));
    let mut reading = broker.read("bounded", &[BOUNDED]);
    assert!(reading.source.is_bounded());
    assert_eq!(reading.source.partitions(), [0, 1, 2]);
    // What comes after the end was taken does not belong to it.
    broker.write("bounded", 2, texts("later", 0..3));
    reading.until_finished();
    assert_eq!(reading.values(0), texts("a", 0..5000));
    assert_eq!(reading.values(2), texts("c", 0..3));
    assert_eq!(reading.count(), 5003);
    assert_eq!(reading.next[&0], 5000);
    let offsets: Vec<u64> = reading.records[&0]
        .iter()
        .map(|(offset, _)| *offset)
        .collect();
    assert_eq!(offsets, (0..5000).collect::<Vec<u64>>());
    let (total, read) = reading.source.size().expect("a size");
    assert_eq!(total, read);
}

#[test]
fn an_empty_topic_is_finished_or_at_its_end() {
    let broker = Broker::shared();
    broker.create_topic("empty", 2);
    broker.read("empty", &[BOUNDED]).until_finished();
    let mut reading = broker.read("empty", &[]);
    reading.until("both ends, again and again", |r| {
        r.at_end.len() == 2 && r.at_end.values().all(|times| *times >= 3)
    });
    assert_eq!(reading.away, [""; 0]);
    broker.write("empty", 1, texts("x", 0..1));
    reading.until("the record", |r| r.count() == 1);
    let before = reading.at_end[&1];
    reading.until("the end behind it", |r| r.at_end[&1] > before);
}

#[test]
fn reading_begins_where_the_options_say() {
    let broker = Broker::shared();
    broker.create_topic("modes", 1);
    let mut writer = broker.writer("modes");
    for i in 0..10 {
        let value = i.to_string();
        let time = Some(1_000 + i64::from(i) * 100);
        writer
            .send(Some(0), None, Some(value.as_bytes()), time)
            .expect("sends");
    }
    writer.flush(PATIENCE).expect("flushes");
    let read = |more: &[(&str, &str)]| {
        let mut options = vec![BOUNDED];
        options.extend(more);
        let mut reading = broker.read("modes", &options);
        reading.until_finished();
        reading
            .values(0)
            .iter()
            .map(|v| v.parse().expect("number"))
            .collect::<Vec<u32>>()
    };
    let range = |range: std::ops::Range<u32>| range.collect::<Vec<u32>>();
    assert_eq!(read(&[]), range(0..10));
    assert_eq!(
        read(&[("scan.startup.mode", "earliest-offset")]),
        range(0..10)
    );
    assert_eq!(read(&[("scan.startup.mode", "latest-offset")]), range(0..0));
    let offsets = "partition:0,offset:4";
    let specific = ("scan.startup.specific-offsets", offsets);
    assert_eq!(
        read(&[("scan.startup.mode", "specific-offsets"), specific]),
        range(4..10)
    );
    for (time, from) in [("0", 0), ("1250", 3), ("1300", 3), ("99999", 10)] {
        let time = ("scan.startup.timestamp-millis", time);
        assert_eq!(
            read(&[("scan.startup.mode", "timestamp"), time]),
            range(from..10)
        );
    }
    // A group without offsets, then with.
    let group = ("properties.group.id", "modes-group");
    assert_eq!(read(&[group]), range(0..10));
    assert_eq!(
        read(&[group, ("properties.auto.offset.reset", "latest")]),
        range(0..0)
    );
    let strict = broker.request("modes", &[group, ("properties.auto.offset.reset", "none")]);
    let error = KafkaConnector.source(&strict).err().expect("refused");
    assert!(error.message.contains("modes-group"), "{error}");
    let consumer: BaseConsumer = broker
        .client()
        .set("group.id", "modes-group")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("modes", 0, Offset::Offset(7))
        .expect("adds");
    consumer.commit(&list, CommitMode::Sync).expect("commits");
    assert_eq!(read(&[group]), range(7..10));
    assert_eq!(
        read(&[group, ("scan.startup.mode", "earliest-offset")]),
        range(0..10)
    );
    // Ends.
    let end = |more: &[(&str, &str)]| {
        let mut reading = broker.read("modes", more);
        reading.until_finished();
        reading.count()
    };
    let at = |mode| ("scan.bounded.mode", mode);
    assert_eq!(
        end(&[at("timestamp"), ("scan.bounded.timestamp-millis", "1300")]),
        3
    );
    assert_eq!(
        end(&[at("timestamp"), ("scan.bounded.timestamp-millis", "5000")]),
        10
    );
    let specific = ("scan.bounded.specific-offsets", "partition:0,offset:6");
    assert_eq!(end(&[at("specific-offsets"), specific]), 6);
    let earliest = ("scan.startup.mode", "earliest-offset");
    assert_eq!(end(&[at("group-offsets"), group, earliest]), 7);
    // A checkpoint goes before any mode.
    let mut request = broker.request("modes", &[BOUNDED, ("scan.startup.mode", "latest-offset")]);
    request.start.insert(0, 8);
    let mut reading = Reading::open(&request);
    reading.until_finished();
    assert_eq!(reading.values(0), ["8", "9"]);
}

#[test]
fn control_records_and_aborted_transactions_neither_show_nor_hang() {
    let broker = Broker::shared();
    broker.create_topic("transactions", 1);
    let producer: BaseProducer = broker
        .client()
        .set("transactional.id", "t1")
        .create()
        .expect("a producer");
    producer.init_transactions(PATIENCE).expect("initialises");
    for (round, commit) in [(0, true), (1, false), (2, true), (3, false)] {
        producer.begin_transaction().expect("begins");
        for i in 0..5 {
            let value = format!("{round}-{i}");
            producer
                .send(
                    BaseRecord::<(), str>::to("transactions")
                        .partition(0)
                        .payload(&value),
                )
                .expect("sends");
        }
        producer.flush(PATIENCE).expect("flushes");
        if commit {
            producer.commit_transaction(PATIENCE).expect("commits");
        } else {
            producer.abort_transaction(PATIENCE).expect("aborts");
        }
    }
    let wanted = [texts("0-", 0..5), texts("2-", 0..5)].concat();
    // The topic ends with aborted records and a control record: no record has the last offset.
    let mut reading = broker.read("transactions", &[BOUNDED]);
    reading.until_finished();
    assert_eq!(reading.values(0), wanted);
    let mut follow = broker.read("transactions", &[]);
    follow.until("the end", |r| {
        r.at_end.get(&0).is_some_and(|times| *times >= 2)
    });
    assert_eq!(follow.values(0), wanted);
    // An open transaction holds the end back; once committed its records come.
    producer.begin_transaction().expect("begins");
    producer
        .send(
            BaseRecord::<(), str>::to("transactions")
                .partition(0)
                .payload("open"),
        )
        .expect("sends");
    producer.flush(PATIENCE).expect("flushes");
    let mut bounded = broker.read("transactions", &[BOUNDED]);
    bounded.until_finished();
    assert_eq!(bounded.values(0), wanted);
    producer.commit_transaction(PATIENCE).expect("commits");
    follow.until("the committed record", |r| {
        r.values(0).last() == Some(&"open")
    });
    assert_eq!(follow.count(), wanted.len() + 1);
}

#[test]
fn keys_headers_timestamps_and_tombstones_come_where_asked_for() {
    let broker = Broker::shared();
    broker.create_topic("metadata", 1);
    let producer: BaseProducer = broker.client().create().expect("a producer");
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "h",
            value: Some("1"),
        })
        .insert(Header {
            key: "none",
            value: None::<&str>,
        });
    producer
        .send(
            BaseRecord::to("metadata")
                .key("k")
                .payload("v")
                .timestamp(17)
                .headers(headers),
        )
        .expect("sends");
    producer
        .send(
            BaseRecord::<str, str>::to("metadata")
                .key("k")
                .timestamp(18),
        )
        .expect("sends");
    producer
        .send(
            BaseRecord::<str, str>::to("metadata")
                .payload("")
                .timestamp(19),
        )
        .expect("sends");
    producer.flush(PATIENCE).expect("flushes");
    let mut request = broker.request("metadata", &[BOUNDED]);
    let mut plain = Reading::open(&request);
    plain.until_finished();
    let meta = &plain.chunks[0].meta;
    assert_eq!(meta.tombstones, [false, true, false]);
    assert!(meta.timestamps.is_empty() && meta.keys.is_empty() && meta.headers.is_empty());
    request.metadata = ["timestamp", "key", "headers"].map(str::to_owned).to_vec();
    let mut reading = Reading::open(&request);
    reading.until_finished();
    let meta = &reading.chunks[0].meta;
    assert_eq!(meta.timestamps, [17, 18, 19]);
    assert_eq!(meta.keys, [Some(b"k".to_vec()), Some(b"k".to_vec()), None]);
    let wanted = vec![("h".to_owned(), b"1".to_vec()), ("none".to_owned(), vec![])];
    assert_eq!(meta.headers, [wanted, vec![], vec![]]);
}

#[test]
fn a_paused_partition_waits_and_loses_nothing() {
    let broker = Broker::shared();
    broker.create_topic("paused", 2);
    for partition in [0, 1] {
        broker.write("paused", partition, texts("x", 0..20_000));
    }
    let mut reading = broker.read("paused", &[BOUNDED]);
    reading.until("a first record", |r| r.count() > 0);
    for turn in 0..20 {
        let partition = turn % 2;
        reading.source.pause(partition, true);
        for _ in 0..3 {
            reading.step().expect("reads");
        }
        reading.source.pause(partition, false);
    }
    reading.source.pause(0, true);
    reading.until("the other's end", |r| r.finished.contains(&1));
    reading.source.pause(0, false);
    reading.until_finished();
    for partition in [0, 1] {
        assert_eq!(reading.values(partition), texts("x", 0..20_000));
    }
}

#[test]
fn a_new_partition_is_found_and_read_from_its_beginning() {
    let broker = Broker::shared();
    broker.create_topic("grows", 1);
    let interval = ("scan.topic-partition-discovery.interval", "300 ms");
    let mut reading = broker.read("grows", &[interval, ("scan.startup.mode", "latest-offset")]);
    reading.until("the end", |r| r.at_end.contains_key(&0));
    let more = NewPartitions::new("grows", 3);
    let result = block_on(
        broker
            .admin()
            .create_partitions([&more], &AdminOptions::new()),
    );
    result.expect("grows")[0].as_ref().expect("grows");
    broker.write("grows", 2, texts("new", 0..3));
    reading.until("the new partitions' records", |r| {
        r.count() == 3 && r.added.len() == 2
    });
    assert_eq!(reading.values(2), texts("new", 0..3));
    assert_eq!(reading.source.partitions(), [0, 1, 2]);
}

#[test]
fn an_offset_that_is_gone_is_an_error_that_says_what_to_do() {
    let broker = Broker::shared();
    broker.create_topic("deleted", 1);
    broker.write("deleted", 0, texts("x", 0..10));
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("deleted", 0, Offset::Offset(5))
        .expect("adds");
    block_on(broker.admin().delete_records(&list, &AdminOptions::new())).expect("deletes");
    for offset in [3, 11] {
        let mut request = broker.request("deleted", &[]);
        request.start.insert(0, offset);
        let error = KafkaConnector
            .source(&request)
            .err()
            .expect("refused")
            .message;
        assert!(
            error.contains("5 to 10") && error.contains("earliest-offset"),
            "{error}"
        );
    }
    // Deleted under a reader that was paused.
    let mut request = broker.request("deleted", &[]);
    request.start.insert(0, 5);
    let mut reading = Reading::open(&request);
    reading.source.pause(0, true);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("deleted", 0, Offset::Offset(10))
        .expect("adds");
    block_on(broker.admin().delete_records(&list, &AdminOptions::new())).expect("deletes");
    broker.write("deleted", 0, texts("y", 0..3));
    reading.source.pause(0, false);
    // Either the records had been fetched before, or their loss is told; never a silent jump.
    loop {
        match reading.step() {
            Err(error) => {
                assert!(error.to_string().contains("earliest-offset"), "{error}");
                break;
            }
            Ok(()) if reading.count() >= 8 => {
                assert_eq!(reading.values(0)[..5], texts("x", 5..10));
                break;
            }
            Ok(()) => {}
        }
    }
}

#[test]
fn a_missing_topic_is_waited_for_and_then_an_error() {
    let broker = Broker::shared();
    let mut waiting = broker.read("comes-later", &[]);
    waiting.until("word of it", |r| {
        r.away.iter().any(|why| why.contains("comes-later"))
    });
    assert!(waiting.source.partitions().is_empty());
    broker.create_topic("comes-later", 1);
    broker.write("comes-later", 0, texts("x", 0..2));
    waiting.until("its records", |r| r.count() == 2 && r.added == [0]);
    let mut never = broker.read("never", &[("scan.topic-missing-timeout", "2 s")]);
    let error = never.until_error();
    assert!(error.contains("no topic 'never'"), "{error}");
    let error = KafkaWriter::open(&broker.options("never", &[]))
        .err()
        .expect("refused");
    assert!(error.message.contains("no topic 'never'"), "{error}");
}

#[test]
fn large_records_come_whole() {
    let broker = Broker::shared();
    broker.create_topic("large", 1);
    let large = "x".repeat(900_000);
    let mut writer = broker.writer("large");
    for _ in 0..5 {
        writer
            .send(Some(0), None, Some(large.as_bytes()), None)
            .expect("sends");
        writer
            .send(Some(0), None, Some(b"small"), None)
            .expect("sends");
    }
    writer.flush(PATIENCE).expect("flushes");
    assert_eq!(writer.delivered(), 10);
    let mut reading = broker.read("large", &[BOUNDED]);
    reading.until_finished();
    assert_eq!(reading.values(0), [large.as_str(), "small"].repeat(5));
    assert!(
        reading
            .chunks
            .iter()
            .all(|chunk| chunk.data.len() < 2 << 20)
    );
    let too_large = "x".repeat(2_000_000);
    let sent = writer.send(Some(0), None, Some(too_large.as_bytes()), None);
    let error = sent
        .and_then(|()| writer.flush(PATIENCE))
        .expect_err("refused");
    assert!(!error.retry, "{error}");
}
