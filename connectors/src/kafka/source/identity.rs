//! Whether the topic under a reader is still the one that it began with.
//!
//! A topic that is deleted and made anew at once, and has grown past the reader's place, gives the
//! reader no error: it goes on in the middle of the new topic. So a record of each partition that
//! was read is remembered (its *anchor*), and from time to time the broker is asked for it again, on
//! a thread of its own, since a new connection takes longer than an event may. The next anchors are
//! the newest records at the moment of asking, so whatever happens after it is found by the next
//! round.
//!
//! Of an empty topic there is no record to be known again, and a client that has known it may never
//! fetch of the one that took its place. So a partition that has more to read and stands still from one
//! round to the next is read on by a new client.

use super::super::mark;
use super::{KafkaSource, Partition};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;
use tidewheel_core::{Mark, SourceError};

/// How long the broker may take to answer; else it is asked in the next round.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = Result<(BTreeMap<u32, Option<Mark>>, BTreeMap<u32, u64>), String>;

/// A round under way.
struct Round {
    asked: BTreeMap<u32, Mark>,
    next: BTreeMap<u32, Mark>,
    /// Where reading was.
    places: BTreeMap<u32, u64>,
    answer: Receiver<Answer>,
}

/// A partition that has more to read and stands still.
#[derive(Clone, Copy)]
struct Standstill {
    place: u64,
    /// Rounds in a row.
    rounds: u32,
    /// After so many a new client is to read on. Twice as many each time: there may be no record, such
    /// as between the last one and the end of a transaction, or the broker may be slow.
    patience: u32,
}

/// The anchors, and when they are looked at.
#[derive(Default)]
pub(super) struct Identity {
    anchors: BTreeMap<u32, Mark>,
    round: Option<Round>,
    /// When the next round begins.
    next_at: Option<Duration>,
    /// Partitions that had more to read in the round before.
    behind: BTreeMap<u32, Standstill>,
    /// Anchors that are not there any more, by their offset: they say nothing.
    gone: BTreeMap<u32, u64>,
}

impl Identity {
    /// A record was handed on: the first of a partition is its anchor.
    pub(super) fn handed_on(&mut self, partition: u32, mark: Mark) {
        self.anchors.entry(partition).or_insert(mark);
    }

    /// What was read of a partition does not count any more.
    pub(super) fn forget(&mut self, partition: u32) {
        self.anchors.remove(&partition);
        self.gone.remove(&partition);
        if let Some(round) = &mut self.round {
            round.asked.remove(&partition);
            round.next.remove(&partition);
        }
    }
}

impl KafkaSource {
    /// Takes the answer of a round, and begins the next when its time has come.
    ///
    /// # Errors
    /// The topic is another one, and the option `scan.on-reset` says to fail.
    pub(super) fn look_at_identity(&mut self) -> Result<(), SourceError> {
        let Some(interval) = self.config.reset_check else {
            return Ok(());
        };
        let now = self.env.monotonic();
        if let Some(round) = self.identity.round.take() {
            match round.answer.try_recv() {
                Err(TryRecvError::Empty) => self.identity.round = Some(round),
                // It is asked again with the same anchors.
                Err(TryRecvError::Disconnected) | Ok(Err(_)) => {}
                Ok(Ok((found, ends))) => {
                    self.look_for_standstill(&round.places, &ends);
                    return self.compare_anchors(round, &found);
                }
            }
            return Ok(());
        }
        let due = *self.identity.next_at.get_or_insert(now + interval);
        if now < due {
            return Ok(());
        }
        let reads = |(number, known): (&u32, &Partition)| {
            let reads = !known.finished && !known.paused;
            reads.then_some((*number, known.position))
        };
        let places: BTreeMap<u32, u64> = self.partitions.iter().filter_map(reads).collect();
        if places.is_empty() && self.identity.anchors.is_empty() {
            return Ok(());
        }
        self.identity.next_at = Some(now + interval);
        let mut asked = self.identity.anchors.clone();
        let gone = &self.identity.gone;
        asked.retain(|number, mark| gone.get(number) != Some(&mark.offset));
        let offsets = asked.iter().map(|(n, mark)| (*n, mark.offset)).collect();
        let numbers: Vec<u32> = places.keys().copied().collect();
        let config = self.config.clone();
        let (send, answer) = channel();
        let thread = std::thread::Builder::new().name("kafka-identity".to_owned());
        let spawned = thread.spawn(move || {
            let _ = send.send(mark::look(&config, &offsets, &numbers, ANSWER_TIMEOUT));
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "whether the topic is still the same cannot be looked at now");
            return Ok(());
        }
        self.identity.round = Some(Round {
            asked,
            next: self.marks.clone(),
            places,
            answer,
        });
        Ok(())
    }

    /// Replaces a client that does not read what is there.
    fn look_for_standstill(&mut self, places: &BTreeMap<u32, u64>, ends: &BTreeMap<u32, u64>) {
        let before = std::mem::take(&mut self.identity.behind);
        for (number, place) in places {
            let stands = |known: &Partition| known.position == *place && !known.paused;
            let Some(end) = ends.get(number).copied().filter(|end| end > place) else {
                continue;
            };
            if !self.partitions.get(number).is_some_and(stands) {
                continue;
            }
            let mut now = Standstill {
                place: *place,
                rounds: 0,
                patience: 1,
            };
            if let Some(before) = before.get(number).filter(|before| before.place == *place) {
                (now.rounds, now.patience) = (before.rounds + 1, before.patience);
            }
            if now.rounds >= now.patience {
                (now.rounds, now.patience) = (0, now.patience.saturating_mul(2));
                let topic = &self.config.topic;
                tracing::debug!(target: "kafka", topic, number, place, end, "a new client reads on");
                self.renew = true;
            }
            self.identity.behind.insert(*number, now);
        }
    }

    fn compare_anchors(
        &mut self,
        round: Round,
        found: &BTreeMap<u32, Option<Mark>>,
    ) -> Result<(), SourceError> {
        self.identity.anchors.extend(round.next);
        for (number, mark) in &round.asked {
            match found.get(number) {
                Some(Some(other)) if other != mark => {
                    self.unverified.insert(*number, *mark);
                }
                // Compacted or deleted by now; or the topic is another one and shorter than that,
                // which the client does not always tell.
                Some(None) => {
                    self.identity.gone.insert(*number, mark.offset);
                    (self.look_at_range, self.ask_at) = (true, Duration::ZERO);
                }
                _ => {}
            }
        }
        if self.unverified.is_empty() {
            return Ok(());
        }
        self.replace_unverified(found)
    }
}
