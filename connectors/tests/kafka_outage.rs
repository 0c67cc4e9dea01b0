//! A broker that is killed, stopped and started again under a reader.

mod support_kafka;

use support_kafka::{Broker, texts};

#[test]
fn a_broker_that_comes_back_costs_no_record_and_doubles_none() {
    let broker = Broker::new();
    // Opened before there is any broker.
    let mut reading = broker.read("events", &[]);
    reading.until("word that it is away", |r| !r.away.is_empty());
    assert!(reading.source.partitions().is_empty());
    broker.start();
    broker.create_topic("events", 2);
    broker.write("events", 0, texts("a", 0..100));
    reading.until("the first records", |r| {
        r.count() == 100 && r.added == [0, 1]
    });
    reading.until("both ends", |r| r.at_end.len() == 2);

    for (round, kill) in [(1, true), (2, false)] {
        let away = reading.away.len();
        if kill {
            broker.kill();
        } else {
            broker.stop();
        }
        reading.until("word that it is away", |r| r.away.len() > away);
        // While it is away no partition is at its end: nobody has said so.
        let ends = reading.at_end.clone();
        let away = reading.away.len();
        reading.until("more word of it", |r| r.away.len() >= away + 2);
        assert_eq!(reading.at_end, ends);
        broker.start();
        reading.until("both ends again", |r| {
            r.at_end
                .iter()
                .all(|(partition, times)| *times > ends[partition])
        });
        broker.write("events", 1, texts("b", (round - 1) * 100..round * 100));
        broker.write("events", 0, texts("a", round * 100..(round + 1) * 100));
        let total = 100 + round as usize * 200;
        reading.until("what came after", |r| r.count() >= total);
    }
    assert_eq!(reading.values(0), texts("a", 0..300));
    assert_eq!(reading.values(1), texts("b", 0..200));

    // A second reader that takes up where the first stood.
    let mut request = broker.request("events", &[("scan.bounded.mode", "latest-offset")]);
    request.start = reading.next.clone();
    broker.write("events", 1, texts("c", 0..5));
    let mut second = support_kafka::Reading::open(&request);
    second.until_finished();
    assert_eq!(second.values(1), texts("c", 0..5));
    assert_eq!(second.count(), 5);
}
