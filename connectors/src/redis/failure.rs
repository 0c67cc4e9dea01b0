//! What a Redis error means for a write: try again, or give up.
//!
//! Nearly everything can be put right at the server while the pipeline waits (a password, a
//! permission, memory, a key of another type), so nearly everything is tried again, with a
//! message for the health page that says what to do. Only what no change at the server would
//! mend is given up: a command the server does not know, or a Redis Cluster.

use redis::{ErrorKind, RedisError};
use tidewheel_core::SinkError;

/// An error reply, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What happened and what to do.
    pub(super) message: String,
    /// True when trying again cannot help.
    pub(super) fatal: bool,
    /// True when the connection is to be made anew first: another server may answer, and scripts
    /// are loaded again.
    pub(super) reconnect: bool,
}

impl Failure {
    /// The failure that an error reply (or a connection error) means; `what` names the command
    /// and its key, or what was attempted.
    pub(super) fn of(error: &RedisError, what: &str) -> Self {
        let mut code = error.code().unwrap_or("");
        let detail = error.detail().unwrap_or("").to_owned();
        let text = if code.is_empty() {
            error.to_string()
        } else {
            format!("{code} {detail}")
        };
        if code == "ERR" && detail.contains(SCRIPT_NOT_PERMITTED) {
            code = "NOPERM";
        }
        let advice = match code {
            "LOADING" => "the server is loading its data",
            "READONLY" => "this server is a replica; let 'url' name the primary",
            "OOM" => "the server is out of memory; raise its maxmemory",
            "MASTERDOWN" => "the replica has lost its primary",
            "MISCONF" => "the server cannot save its data; look at its log and disk",
            "NOREPLICAS" => "too few replicas are connected to the server",
            "BUSY" => "a script blocks the server",
            "NOSCRIPT" => "the server has dropped its scripts; they will be loaded again",
            "NOAUTH" => "the server wants a password; set the option 'password'",
            "WRONGPASS" => "user name or password is wrong; check 'username' and 'password'",
            "NOPERM" => {
                "the account may not do this; it needs its keys and tidewheel:progress:*, \
                 with 'ttl' on hashes and sorted sets +evalsha +script|load +pttl +pexpire, \
                 and with checkpoints tidewheel:epoch:*, +evalsha +script|load +get +set +hget \
                 +hset +hgetall +exists +zadd +zrange +zremrangebyscore"
            }
            "WRONGTYPE" => {
                "the key holds another type of value; delete it, or change the option 'key'"
            }
            "MOVED" | "ASK" | "CROSSSLOT" => {
                "this is a Redis Cluster, which the connector 'redis' cannot write to; \
                 let 'url' name a single server"
            }
            _ if error.kind() == ErrorKind::AuthenticationFailed => {
                "check 'username' and 'password'"
            }
            _ if error.is_timeout() => "the server did not answer in time",
            _ => "",
        };
        let fatal = match code {
            "MOVED" | "ASK" | "CROSSSLOT" => true,
            "ERR" => !is_passing(&detail),
            _ => false,
        };
        let separator = if advice.is_empty() { "" } else { "; " };
        Self {
            message: format!("{what}: {}{separator}{advice}", text.trim()),
            fatal,
            reconnect: matches!(code, "READONLY" | "NOSCRIPT" | "NOAUTH" | "MASTERDOWN"),
        }
    }

    /// The error of the write that this failure ends.
    pub(super) fn into_sink_error(self) -> SinkError {
        if self.fatal {
            SinkError::Fatal(self.message)
        } else {
            SinkError::Retry(self.message)
        }
    }
}

/// What servers before 7.2 answer, as a plain `ERR`, where a script may not run a command.
const SCRIPT_NOT_PERMITTED: &str = "can't run this command";

/// `ERR` stands for many things; these pass by themselves or by an operator's hand.
fn is_passing(detail: &str) -> bool {
    [
        "max number of clients",
        "invalid password",
        "Client sent AUTH",
        "DB index",
    ]
    .iter()
    .any(|text| detail.contains(text))
}

/// What went wrong in one flush, beside what went well.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u64,
    worst: Option<Failure>,
    /// True when some failure asks for a new connection.
    pub(super) reconnect: bool,
}

impl Failures {
    /// Notes one failure; the first of the worst kind is kept.
    pub(super) fn add(&mut self, failure: Failure) {
        self.count += 1;
        self.reconnect |= failure.reconnect;
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| failure.fatal && !worst.fatal)
        {
            self.worst = Some(failure);
        }
    }

    /// The error that the failures amount to.
    ///
    /// # Errors
    /// When there is a failure.
    pub(super) fn into_result(self) -> Result<(), SinkError> {
        let Some(mut worst) = self.worst else {
            return Ok(());
        };
        if self.count > 1 {
            worst.message = format!("{} (and {} more errors)", worst.message, self.count - 1);
        }
        Err(worst.into_sink_error())
    }
}
