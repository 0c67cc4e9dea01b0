//! Who may write: an epoch, claimed by an object that only one can make.
//!
//! The owner of the highest epoch writes. Whoever starts claims the next one once the present
//! owner gives no sign of life; an owner that finds a higher epoch stops at once. A claim alone
//! does not stop a process that hangs: the sinks' fencing does.

use crate::envelope::{self, Kind};
use crate::storage::StorageError;
use crate::store::CheckpointStore;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const LEASE: &str = "lease-";
const BEAT: &str = "beat-";
/// Leases that stay for a look back.
const KEEP: u64 = 8;

/// How often an owner gives a sign of life.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// An owner that gave none for so long is taken for dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(5);

/// A process, as far as others can tell whether it is alive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// A name for people: host and process number.
    pub name: String,
    /// The boot of the machine, and the process namespace; empty where they are not known.
    pub place: String,
    /// The process number.
    pub pid: u32,
    /// When the process began, in the kernel's ticks since the boot.
    pub began: u64,
}

impl Owner {
    /// This process.
    #[must_use]
    pub fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let host = read("/proc/sys/kernel/hostname");
        let boot = read("/proc/sys/kernel/random/boot_id");
        let space = std::fs::read_link("/proc/self/ns/pid")
            .map(|link| link.to_string_lossy().into_owned())
            .unwrap_or_default();
        let pid = std::process::id();
        Self {
            name: format!("{}:{pid}", host.trim()),
            place: if boot.is_empty() || space.is_empty() {
                String::new()
            } else {
                format!("{}/{space}", boot.trim())
            },
            pid,
            began: began(pid).unwrap_or(0),
        }
    }

    /// True when the process ran where this one does, and does so no more.
    fn is_dead(&self, here: &Self) -> bool {
        !self.place.is_empty() && self.place == here.place && began(self.pid) != Some(self.began)
    }
}

/// The 22nd field of `/proc/<pid>/stat`; the second one, in brackets, may hold anything.
fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit_once(')')?.1;
    after.split_whitespace().nth(19)?.parse().ok()
}

/// A sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Beat {
    owner: Owner,
    beats: u64,
    /// The owner has ended in order.
    released: bool,
}

/// The right to write is lost, or the store cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another process writes now.
    #[error("another process has taken over (epoch {epoch}); this one writes no more")]
    Superseded {
        /// Its epoch.
        epoch: u64,
    },
    /// The store is away.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The right to write.
pub struct Lease {
    store: CheckpointStore,
    epoch: u64,
    beat: Beat,
}

/// The newest epoch that was claimed. Signs of life count too: stores may remove old objects, and
/// a lease is written once.
fn newest(store: &CheckpointStore) -> Result<u64, StorageError> {
    let folder = store.path("");
    let objects = store.storage().list(&folder)?;
    let epochs = objects.iter().filter_map(|(path, _)| {
        let name = path.strip_prefix(&folder)?;
        let number = name.strip_prefix(LEASE).or_else(|| name.strip_prefix(BEAT));
        number?.parse().ok()
    });
    Ok(epochs.max().unwrap_or(0))
}

fn object(prefix: &str, epoch: u64) -> String {
    format!("{prefix}{epoch:010}")
}

impl Lease {
    /// Claims the epoch after the present one. `None`: another process was faster.
    ///
    /// # Errors
    /// The store is away.
    pub fn claim(store: &CheckpointStore, owner: Owner) -> Result<Option<Self>, StorageError> {
        let seen = newest(store)?;
        Self::claim_after(store, owner, seen)
    }

    /// Claims the epoch after `seen`, whose owner was seen to be dead; or none (0). `None`: another
    /// process was faster.
    ///
    /// # Errors
    /// The store is away.
    pub fn claim_after(
        store: &CheckpointStore,
        owner: Owner,
        seen: u64,
    ) -> Result<Option<Self>, StorageError> {
        if newest(store)? != seen {
            return Ok(None);
        }
        // Above those of all checkpoints: the newest one is the one to go on from.
        let written = store.names()?.last().map_or(0, |name| name.epoch);
        let epoch = seen.max(written) + 1;
        let beat = Beat {
            owner,
            ..Beat::default()
        };
        let content = sealed(&beat)?;
        let path = store.path(&object(LEASE, epoch));
        if !store.storage().put_new(&path, content)? {
            return Ok(None);
        }
        let lease = Self {
            store: store.clone(),
            epoch,
            beat,
        };
        lease.write_beat()?;
        lease.clean();
        Ok(Some(lease))
    }

    /// Its epoch, from 1.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Gives a sign of life, and looks whether the right to write is still there.
    ///
    /// # Errors
    /// See [`LeaseError`]; while the store is away the right is taken to be there.
    pub fn renew(&mut self) -> Result<(), LeaseError> {
        let epoch = newest(&self.store)?;
        if epoch > self.epoch {
            return Err(LeaseError::Superseded { epoch });
        }
        self.hold()?;
        self.beat.beats += 1;
        Ok(self.write_beat()?)
    }

    /// Makes sure that the lease is this process's own: where somebody has removed it, whoever makes it
    /// anew has it.
    fn hold(&self) -> Result<(), LeaseError> {
        let path = self.store.path(&object(LEASE, self.epoch));
        let lease = match self.store.storage().get(&path)? {
            Some(lease) => lease,
            None => {
                let own = Beat {
                    owner: self.beat.owner.clone(),
                    ..Beat::default()
                };
                if self.store.storage().put_new(&path, sealed(&own)?)? {
                    tracing::warn!(path, "the lease was removed; it is made anew");
                    return Ok(());
                }
                self.store.storage().get(&path)?.unwrap_or_default()
            }
        };
        match opened(&lease) {
            Some(beat) if beat.owner != self.beat.owner => {
                let epoch = self.epoch;
                Err(LeaseError::Superseded { epoch })
            }
            _ => Ok(()),
        }
    }

    /// Says that the process ends in order, so that the next one need not wait.
    pub fn release(&mut self) {
        self.beat.released = true;
        if let Err(error) = self.write_beat() {
            tracing::warn!(%error, "the lease could not be released; the next start waits for it");
        }
    }

    fn write_beat(&self) -> Result<(), StorageError> {
        let path = self.store.path(&object(BEAT, self.epoch));
        self.store.storage().put(&path, sealed(&self.beat)?)
    }

    /// Removes old leases; what fails is left for the next claim.
    fn clean(&self) {
        for prefix in [LEASE, BEAT] {
            let full = self.store.path(prefix);
            for (path, _) in self.store.storage().list(&full).unwrap_or_default() {
                let epoch: Option<u64> = path.strip_prefix(&full).and_then(|e| e.parse().ok());
                if epoch.is_some_and(|epoch| epoch + KEEP < self.epoch) {
                    let _ = self.store.storage().delete(&path);
                }
            }
        }
    }
}

fn sealed(beat: &Beat) -> Result<Vec<u8>, StorageError> {
    let mut content = envelope::begin();
    serde_json::to_writer(&mut content, beat).map_err(|error| StorageError(error.to_string()))?;
    Ok(envelope::seal(Kind::Lease, content))
}

fn opened(bytes: &[u8]) -> Option<Beat> {
    let content = envelope::open(Kind::Lease, bytes).ok()?;
    serde_json::from_slice(content).ok()
}

/// Looks, from another process, whether the present owner is alive.
#[derive(Debug, Default)]
pub struct Watch {
    seen: Option<(u64, Vec<u8>)>,
    since: Duration,
}

/// What a look at the owner has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// There is none: the epoch after this one may be claimed.
    Free(u64),
    /// It is alive, or nobody knows yet.
    Held {
        /// Its name.
        by: String,
        /// Its epoch.
        epoch: u64,
    },
}

impl Watch {
    /// Looks. `now` is a monotonic time.
    ///
    /// # Errors
    /// The store is away.
    pub fn look(
        &mut self,
        store: &CheckpointStore,
        here: &Owner,
        now: Duration,
    ) -> Result<Look, StorageError> {
        let epoch = newest(store)?;
        if epoch == 0 {
            return Ok(Look::Free(epoch));
        }
        let bytes = store.storage().get(&store.path(&object(BEAT, epoch)))?;
        let bytes = match bytes {
            Some(bytes) => bytes,
            // It was claimed, and has not given a sign of life yet.
            None => store
                .storage()
                .get(&store.path(&object(LEASE, epoch)))?
                .unwrap_or_default(),
        };
        let beat = opened(&bytes).unwrap_or_default();
        if beat.released || beat.owner.is_dead(here) {
            return Ok(Look::Free(epoch));
        }
        let state = Some((epoch, bytes));
        if self.seen != state {
            (self.seen, self.since) = (state, now);
        } else if now.saturating_sub(self.since) >= DEAD_AFTER {
            return Ok(Look::Free(epoch));
        }
        Ok(Look::Held {
            by: beat.owner.name,
            epoch,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    fn elsewhere(name: &str) -> Owner {
        Owner {
            name: name.to_owned(),
            place: format!("the machine of {name}"),
            pid: 1,
            began: 7,
        }
    }

    fn store() -> CheckpointStore {
        CheckpointStore::new(Arc::new(MemoryStorage::default()), "p")
    }

    #[test]
    fn who_removes_a_lease_does_not_make_two_owners() {
        let store = store();
        let (one, two) = (elsewhere("one"), elsewhere("two"));
        let mut first = Lease::claim(&store, one).unwrap().unwrap();
        let path = store.path(&object(LEASE, 1));
        store.storage().delete(&path).unwrap();
        // The sign of life is still there.
        let look = Watch::default().look(&store, &two, Duration::ZERO).unwrap();
        assert!(matches!(look, Look::Held { epoch: 1, .. }), "{look:?}");
        first.renew().unwrap();
        assert!(store.storage().get(&path).unwrap().is_some());

        // All of it is gone, and another process is faster.
        store.storage().delete(&path).unwrap();
        let beat = store.path(&object(BEAT, 1));
        store.storage().delete(&beat).unwrap();
        let second = Lease::claim(&store, two).unwrap().unwrap();
        assert_eq!(second.epoch(), 1);
        assert_eq!(first.renew(), Err(LeaseError::Superseded { epoch: 1 }));
    }

    #[test]
    fn an_epoch_is_above_those_of_all_checkpoints() {
        let store = store();
        let path = store.path("manifest-0000000007-000000000003");
        store.storage().put(&path, Vec::new()).unwrap();
        let lease = Lease::claim(&store, elsewhere("one")).unwrap().unwrap();
        assert_eq!(lease.epoch(), 8);
    }

    #[test]
    fn a_second_process_waits_for_the_first_and_takes_over() {
        let store = store();
        let (one, two) = (elsewhere("one"), elsewhere("two"));
        let mut watch = Watch::default();
        let secs = Duration::from_secs;
        assert_eq!(watch.look(&store, &two, secs(0)).unwrap(), Look::Free(0));
        let mut first = Lease::claim(&store, one).unwrap().unwrap();
        for second in 0..20 {
            first.renew().unwrap();
            let look = watch.look(&store, &two, secs(second)).unwrap();
            let by = "one".to_owned();
            assert_eq!(look, Look::Held { by, epoch: 1 });
        }
        // It falls silent.
        assert_ne!(watch.look(&store, &two, secs(23)).unwrap(), Look::Free(1));
        assert_eq!(watch.look(&store, &two, secs(24)).unwrap(), Look::Free(1));
        let second = Lease::claim_after(&store, two.clone(), 1).unwrap().unwrap();
        assert_eq!(second.epoch(), 2);
        let slow = Lease::claim_after(&store, two, 1).unwrap();
        assert!(slow.is_none(), "it has not looked at the one of epoch 2");
        assert_eq!(first.renew(), Err(LeaseError::Superseded { epoch: 2 }));
    }

    #[test]
    fn nobody_waits_for_one_that_has_ended_or_is_known_to_be_dead() {
        let store = store();
        let here = Owner::this();
        let mut watch = Watch::default();
        let mut lease = Lease::claim(&store, elsewhere("one")).unwrap().unwrap();
        lease.release();
        assert_eq!(
            watch.look(&store, &here, Duration::ZERO).unwrap(),
            Look::Free(1)
        );
        let mut dead = here.clone();
        dead.began += 1;
        let _dead = Lease::claim(&store, dead).unwrap().unwrap();
        assert_eq!(
            watch.look(&store, &here, Duration::ZERO).unwrap(),
            Look::Free(2)
        );
        let _alive = Lease::claim(&store, here.clone()).unwrap().unwrap();
        assert_ne!(
            watch.look(&store, &here, Duration::ZERO).unwrap(),
            Look::Free(3)
        );
    }
}
