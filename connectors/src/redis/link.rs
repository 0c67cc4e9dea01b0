//! One connection to Redis: made lazily, named, and recognised when it is made anew.

use super::config::Config;
use super::failure::{Failure, Failures};
use super::fence::{CLAIM, Fence, NOTE, RAISE};
use super::resp::Commands;
use redis::{
    Client, Cmd, Connection, FromRedisValue, RedisError, RedisResult, TlsCertificates, Value, cmd,
};
use tidewheel_core::{ConnectorError, SinkError};

/// Connections that are still to be ended, at most: one a reconnect that did not succeed.
const PENDING_MAX: usize = 64;

/// Sets fields or members and keeps the key's expiry the longest that anyone asked for: a key
/// that never expires stays so. `ARGV`: command, milliseconds, the command's further arguments.
const SET_AND_EXTEND: &str = "\
local left = redis.call('PTTL', KEYS[1])
redis.call(ARGV[1], KEYS[1], unpack(ARGV, 3))
if left ~= -1 and tonumber(ARGV[2]) > left then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1";

/// An error in the connection itself, after which it is gone.
pub(super) struct Broken(pub(super) Failure);

/// What a new connection says about the data written before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The first connection, or the same server with its data.
    Same,
    /// Another server process, or one without the progress key.
    Lost,
}

/// A connection that comes and goes.
pub(super) struct Link {
    client: Client,
    /// The name that the server shows for the connection.
    name: String,
    /// For messages: host and port or path, never a password.
    place: String,
    needs_script: bool,
    connection: Option<Connection>,
    /// The `run_id` of the server that was written to last; empty where it may not be asked.
    run_id: Option<String>,
    /// The server's number of the connection.
    client_id: Option<i64>,
    /// Connections that were given up, by the server's `run_id` and number: what was sent over
    /// them may still be waiting to run, so they are ended before anything else is written.
    pending: Vec<(String, i64)>,
    fence: Option<Fence>,
    /// The server whose connections of former owners were ended.
    swept: Option<String>,
    /// True once it was said that the server does not let connections be ended.
    told: bool,
    /// The name under which the server knows the script that extends a ttl.
    pub(super) script: String,
    /// The same of the script that raises progress, where there is an owner.
    pub(super) raise_script: String,
    /// The same of the script that notes keys.
    pub(super) note_script: String,
}

impl Link {
    /// A link that is not connected yet. Reads the file of certificates.
    ///
    /// # Errors
    /// The file of certificates cannot be used.
    pub(super) fn new(
        config: &Config,
        table: &str,
        fence: Option<Fence>,
        needs_script: bool,
    ) -> Result<Self, ConnectorError> {
        let info = config.connection.clone();
        let place = info.addr().to_string();
        let client = match &config.ca_file {
            None => Client::open(info).map_err(|error| {
                ConnectorError::option("url", format!("the value cannot be used: {error}"))
            })?,
            Some(path) => {
                let root = std::fs::read(path).map_err(|error| {
                    ConnectorError::option("tls.ca-file", format!("cannot read '{path}': {error}"))
                })?;
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(root),
                };
                Client::build_with_tls(info, certificates).map_err(|error| {
                    ConnectorError::option(
                        "tls.ca-file",
                        format!("'{path}' holds no certificate in PEM form: {error}"),
                    )
                })?
            }
        };
        // The server refuses spaces and control characters in names.
        let plain = |c: char| if c.is_ascii_graphic() { c } else { '_' };
        let name = match &fence {
            Some(fence) => fence.name(),
            None => format!("tidewheel:{table}").chars().map(plain).collect(),
        };
        Ok(Self {
            client,
            name,
            place,
            needs_script,
            connection: None,
            run_id: None,
            client_id: None,
            pending: Vec::new(),
            fence,
            swept: None,
            told: false,
            script: String::new(),
            raise_script: String::new(),
            note_script: String::new(),
        })
    }

    /// True when connected, as far as is known.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Who may write, where that is known.
    pub(super) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// Gives the connection up; the next write makes a new one.
    pub(super) fn drop_connection(&mut self) {
        self.connection = None;
        if let (Some(run_id), Some(id)) = (&self.run_id, self.client_id.take()) {
            self.pending.truncate(PENDING_MAX - 1);
            self.pending.push((run_id.clone(), id));
        }
    }

    /// Connects anew, and looks again for connections of former owners: the server has lost its
    /// data, and with it perhaps the epoch.
    pub(super) fn begin_anew(&mut self) {
        self.drop_connection();
        self.swept = None;
    }

    /// Connects and logs in, ends connections that were given up, makes sure that no later owner
    /// has begun and ends those of former ones, and compares the server with the one written to
    /// last. `marker` is a key that must be there if anything was written.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(super) fn connect(
        &mut self,
        config: &Config,
        marker: Option<&str>,
    ) -> Result<Found, Failure> {
        self.drop_connection();
        let what = format!("cannot connect to Redis at {}", self.place);
        let failed = |error: RedisError| {
            let mut failure = Failure::of(&error, &what);
            failure.fatal &= failure.message.contains("Redis Cluster");
            failure
        };
        let mut connection = self
            .client
            .get_connection_with_timeout(config.connect_timeout)
            .map_err(failed)?;
        let timeout = Some(config.response_timeout);
        connection.set_read_timeout(timeout).map_err(failed)?;
        connection.set_write_timeout(timeout).map_err(failed)?;

        let run_id = match cmd("INFO").arg("server").query::<String>(&mut connection) {
            Ok(info) => field(&info, "run_id").unwrap_or("").to_owned(),
            // Without the permission the marker alone must do.
            Err(error) if error.code() == Some("NOPERM") => String::new(),
            Err(error) => return Err(failed(error)),
        };
        self.end_pending(&mut connection, &run_id).map_err(failed)?;
        let mut named = cmd("CLIENT");
        named.arg("SETNAME").arg(&self.name);
        self.try_to(&mut connection, &named).map_err(failed)?;
        self.client_id = cmd("CLIENT").arg("ID").query(&mut connection).ok();
        if self.needs_script {
            self.script = load(&mut connection, SET_AND_EXTEND).map_err(failed)?;
        }
        if let Some(fence) = self.fence.clone() {
            self.raise_script = load(&mut connection, RAISE).map_err(failed)?;
            self.note_script = load(&mut connection, NOTE).map_err(failed)?;
            let epoch = claim(&mut connection, &fence).map_err(failed)?;
            if epoch > fence.owner.epoch {
                return Err(fence.taken_over(epoch));
            }
            if self.swept.as_ref() != Some(&run_id) {
                self.sweep(&mut connection, &fence).map_err(failed)?;
                self.swept = Some(run_id.clone());
            }
        }
        let marked = match marker {
            Some(key) => cmd("EXISTS")
                .arg(key)
                .query::<bool>(&mut connection)
                .map_err(failed)?,
            None => true,
        };
        let same_server = self.run_id.as_ref().is_none_or(|before| *before == run_id);
        self.run_id = Some(run_id);
        self.connection = Some(connection);
        Ok(if same_server && marked {
            Found::Same
        } else {
            Found::Lost
        })
    }

    /// Ends the connections that were given up. One that cannot be ended now, since the server
    /// does not answer, is ended before the next attempt writes.
    fn end_pending(&mut self, connection: &mut Connection, run_id: &str) -> RedisResult<()> {
        // Numbers mean nothing on another server, and its own data is what counts there.
        self.pending
            .retain(|(server, _)| server == run_id && !run_id.is_empty());
        while let Some((_, id)) = self.pending.last() {
            let mut kill = cmd("CLIENT");
            kill.arg("KILL").arg("ID").arg(*id);
            self.try_to(connection, &kill)?;
            self.pending.pop();
        }
        Ok(())
    }

    /// Ends the connections of owners before this one.
    fn sweep(&mut self, connection: &mut Connection, fence: &Fence) -> RedisResult<()> {
        let mut list = cmd("CLIENT");
        list.arg("LIST");
        let Some(clients) = self.try_to(connection, &list)? else {
            return Ok(());
        };
        let clients = String::from_redis_value(clients)?;
        for id in fence.former(&clients) {
            let mut kill = cmd("CLIENT");
            kill.arg("KILL").arg("ID").arg(id);
            self.try_to(connection, &kill)?;
            tracing::info!(place = self.place, "ended a connection of a former owner");
        }
        Ok(())
    }

    /// Runs a command that is good to have but not granted everywhere: `None` where the server
    /// refuses it, which is said once.
    fn try_to(&mut self, connection: &mut Connection, command: &Cmd) -> RedisResult<Option<Value>> {
        let error = match command.query(connection) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let refused = error.code() == Some("NOPERM");
        if refused && self.fence.is_some() && !std::mem::replace(&mut self.told, true) {
            tracing::warn!(
                place = self.place,
                "the Redis account may not end connections, so a write that another process or \
                 an earlier attempt has under way may still land; grant +client|setname \
                 +client|id +client|list +client|kill +info"
            );
        }
        // Every other refusal (a server too old, no such connection) leaves nothing to do either.
        let answered = refused || error.code() == Some("ERR");
        if answered { Ok(None) } else { Err(error) }
    }

    /// Asks one thing over the connection.
    ///
    /// # Errors
    /// The server refuses, or the connection broke; it is given up then.
    pub(super) fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Failure> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(not_connected());
        };
        command.query(connection).map_err(|error| {
            let what = format!("reading from Redis at {}", self.place);
            let failure = Failure::of(&error, &what);
            if failure.reconnect || error.code().is_none() {
                self.drop_connection();
            }
            failure
        })
    }

    /// Sends the commands and reads every reply. Error replies are added to `failures`; whole
    /// numbers among the replies are handed to `on_number` with their command's index. Returns
    /// how many writes were acknowledged.
    ///
    /// # Errors
    /// The connection broke; it is given up.
    pub(super) fn run(
        &mut self,
        commands: &Commands,
        failures: &mut Failures,
        mut on_number: impl FnMut(usize, i64),
    ) -> Result<u64, Broken> {
        let Some(connection) = self.connection.as_mut() else {
            return Err(Broken(not_connected()));
        };
        let mut acknowledged = 0;
        let mut step = || -> RedisResult<()> {
            connection.send_packed_command(commands.bytes())?;
            for index in 0..commands.len() {
                match connection.recv_response()? {
                    Value::ServerError(error) => {
                        let name = shown(&commands.arguments(index, NAME_ARGUMENTS));
                        failures.add(Failure::of(&RedisError::from(error), &name));
                    }
                    reply => {
                        acknowledged += commands.weight(index);
                        if let Value::Int(number) = reply {
                            on_number(index, number);
                        }
                    }
                }
            }
            Ok(())
        };
        let result = step();
        if let Err(error) = result {
            self.drop_connection();
            let what = format!("writing to Redis at {}", self.place);
            return Err(Broken(Failure::of(&error, &what)));
        }
        Ok(acknowledged)
    }
}

/// How many arguments of a failed command are needed to show its name and key.
const NAME_ARGUMENTS: usize = 5;

/// A command's name and key; those of the command inside for a script.
fn shown(arguments: &[String]) -> String {
    match arguments {
        [name, _, _, key, inner] if name == "EVALSHA" => format!("{inner} {key}"),
        [name, key, ..] => format!("{name} {key}"),
        _ => arguments.join(" "),
    }
}

impl Broken {
    /// The error of the write that was under way.
    pub(super) fn into_sink_error(self) -> SinkError {
        self.0.into_sink_error()
    }
}

/// The value of a line `name:value` of an INFO text.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

fn not_connected() -> Failure {
    Failure {
        message: "not connected to Redis".to_owned(),
        fatal: false,
        reconnect: true,
    }
}

/// Makes a script known to the server, which gives its name.
fn load(connection: &mut Connection, script: &str) -> RedisResult<String> {
    cmd("SCRIPT").arg("LOAD").arg(script).query(connection)
}

/// Raises the epoch at the server to the owner's, and gives what it is then.
fn claim(connection: &mut Connection, fence: &Fence) -> RedisResult<u64> {
    let script = load(connection, CLAIM)?;
    cmd("EVALSHA")
        .arg(script)
        .arg(1)
        .arg(&fence.key)
        .arg(fence.owner.epoch)
        .query(connection)
}
