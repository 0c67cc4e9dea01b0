//! Who may write: the epoch that stands at the server, and the names of connections.
//!
//! A new owner of a pipeline first raises the epoch's key, then ends the connections of owners
//! before it. A former owner therefore either had its connection ended, or reads the higher epoch
//! when it connects anew; it is also compared each time progress is written, for servers that
//! do not let connections be ended.

use super::failure::Failure;
use tidewheel_core::Owner;

/// Start of the key that holds a pipeline's epoch; the pipeline's name follows.
pub(super) const EPOCH_KEY_PREFIX: &str = "tidewheel:epoch:";

/// Raises the epoch `KEYS[1]` to `ARGV[1]`, and gives what it is then.
pub(super) const CLAIM: &str = "\
local at = tonumber(redis.call('GET', KEYS[1]) or '0')
if at and at >= tonumber(ARGV[1]) then return at end
redis.call('SET', KEYS[1], ARGV[1])
return tonumber(ARGV[1])";

/// Raises the fields of `KEYS[1]` that are higher in `ARGV[2..]` (names and values), unless the
/// epoch `KEYS[2]` is above `ARGV[1]`. Gives the number of fields that were not there, or that
/// epoch below zero.
pub(super) const RAISE: &str = "\
local at = tonumber(redis.call('GET', KEYS[2]) or '0')
if at and at > tonumber(ARGV[1]) then return -at end
local added = 0
for i = 2, #ARGV, 2 do
  local old = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '')
  if not old or tonumber(ARGV[i + 1]) > old then
    added = added + redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return added";

/// Drops the members of `KEYS[1]` below the score `ARGV[2]`, then sets the score of `ARGV[4..]` to
/// `ARGV[3]`, unless the epoch `KEYS[2]` is above `ARGV[1]`. Gives that epoch below zero, or 0.
pub(super) const NOTE: &str = "\
local at = tonumber(redis.call('GET', KEYS[2]) or '0')
if at and at > tonumber(ARGV[1]) then return -at end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2])
for i = 4, #ARGV do redis.call('ZADD', KEYS[1], ARGV[3], ARGV[i]) end
return 0";

/// An owner as the server knows it.
#[derive(Debug, Clone)]
pub(super) struct Fence {
    pub(super) owner: Owner,
    /// The key of the epoch.
    pub(super) key: String,
    /// What the names of the pipeline's connections begin with; the epoch follows.
    names: String,
}

impl Fence {
    pub(super) fn new(owner: &Owner) -> Self {
        Self {
            owner: owner.clone(),
            key: format!("{EPOCH_KEY_PREFIX}{}", owner.pipeline),
            names: format!("tidewheel:{}:", plain(&owner.pipeline)),
        }
    }

    /// The name of this owner's connections.
    pub(super) fn name(&self) -> String {
        format!("{}{}", self.names, self.owner.epoch)
    }

    /// The numbers of connections of owners before, in the answer of CLIENT LIST.
    pub(super) fn former(&self, clients: &str) -> Vec<i64> {
        let field = |line: &str, name: &str| -> Option<String> {
            let mut fields = line.split(' ');
            fields.find_map(|field| field.strip_prefix(name).map(str::to_owned))
        };
        let former = |line: &str| {
            let name = field(line, "name=")?;
            let epoch: u64 = name.strip_prefix(&self.names)?.parse().ok()?;
            let id = field(line, "id=")?.parse().ok()?;
            (epoch < self.owner.epoch).then_some(id)
        };
        clients.lines().filter_map(former).collect()
    }

    /// What to say when `epoch` stands at the server and is higher.
    pub(super) fn taken_over(&self, epoch: u64) -> Failure {
        Failure {
            message: format!(
                "another process has taken over the pipeline '{}' (epoch {epoch}, this one has \
                 {}), so this one writes no more; stop it, or start it anew to wait its turn",
                self.owner.pipeline, self.owner.epoch
            ),
            fatal: true,
            reconnect: true,
        }
    }
}

/// A text as the server takes it in a name: without blanks and control characters. Texts that
/// differ stay different.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(pipeline: &str, epoch: u64) -> Fence {
        Fence::new(&Owner {
            pipeline: pipeline.to_owned(),
            epoch,
        })
    }

    #[test]
    fn only_connections_of_owners_before_are_found() {
        let names = [
            fence("shop", 1).name(),
            fence("shop", 2).name(),
            fence("shop", 3).name(),
            fence("shop:1", 1).name(),
            fence("shop 1", 1).name(),
            fence("", 1).name(),
            "tidewheel:shop".to_owned(),
            String::new(),
        ];
        let list: String = names
            .iter()
            .enumerate()
            .map(|(id, name)| format!("id={id} addr=127.0.0.1:5 laddr=x name={name} age=1 db=0\n"))
            .collect();
        assert_eq!(fence("shop", 3).former(&list), [0, 1]);
        assert_eq!(fence("shop", 1).former(&list), [0; 0]);
        assert_eq!(fence("shop:1", 9).former(&list), [3]);
        assert_eq!(fence("shop 1", 9).former(&list), [4]);
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_graphic()))
        );
    }
}
