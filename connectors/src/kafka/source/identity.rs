//! Whether the topic under a reader is still the one that it began with.
//!
//! A topic that is deleted and made anew at once, and has grown past the reader's place, gives the
//! reader no error: it goes on in the middle of the new topic. So a record of each partition that
//! was read is remembered (its *anchor*), and from time to time the broker is asked for it again, on
//! a thread of its own, since a new connection takes longer than an event may. The next anchors are
//! the newest records at the moment of asking, so whatever happens after it is found by the next
//! round.

use super::super::mark;
use super::KafkaSource;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;
use tidewheel_core::{Mark, SourceError};

/// How long the broker may take to answer; else it is asked in the next round.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = Result<BTreeMap<u32, Option<Mark>>, String>;

/// A round under way.
struct Round {
    asked: BTreeMap<u32, Mark>,
    next: BTreeMap<u32, Mark>,
    answer: Receiver<Answer>,
}

/// The anchors, and when they are looked at.
#[derive(Default)]
pub(super) struct Identity {
    anchors: BTreeMap<u32, Mark>,
    round: Option<Round>,
    /// When the next round begins; none before the first record.
    next_at: Option<Duration>,
}

impl Identity {
    /// A record was handed on: the first of a partition is its anchor.
    pub(super) fn handed_on(&mut self, partition: u32, mark: Mark) {
        self.anchors.entry(partition).or_insert(mark);
    }

    /// What was read of a partition does not count any more.
    pub(super) fn forget(&mut self, partition: u32) {
        self.anchors.remove(&partition);
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
                Ok(Ok(found)) => return self.compare_anchors(round, &found),
            }
            return Ok(());
        }
        let due = *self.identity.next_at.get_or_insert(now + interval);
        if now < due || self.identity.anchors.is_empty() {
            return Ok(());
        }
        self.identity.next_at = Some(now + interval);
        let asked = self.identity.anchors.clone();
        let offsets = asked.iter().map(|(n, mark)| (*n, mark.offset)).collect();
        let config = self.config.clone();
        let (send, answer) = channel();
        let thread = std::thread::Builder::new().name("kafka-identity".to_owned());
        let spawned = thread.spawn(move || {
            let _ = send.send(mark::read(&config, &offsets, ANSWER_TIMEOUT));
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "whether the topic is still the same cannot be looked at now");
            return Ok(());
        }
        self.identity.round = Some(Round {
            asked,
            next: self.marks.clone(),
            answer,
        });
        Ok(())
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
                Some(None) => (self.look_at_range, self.ask_at) = (true, Duration::ZERO),
                _ => {}
            }
        }
        if self.unverified.is_empty() {
            return Ok(());
        }
        self.replace_unverified(found)
    }
}
