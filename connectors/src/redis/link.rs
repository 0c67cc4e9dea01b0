//! One connection to Redis: made lazily, named, and recognised when it is made anew.

use super::config::Config;
use super::failure::{Failure, Failures};
use super::resp::Commands;
use redis::{Client, Connection, RedisError, RedisResult, TlsCertificates, Value, cmd};
use tidewheel_core::{ConnectorError, SinkError};

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
    /// The server's number of the connection before, on that server.
    client_id: Option<i64>,
    /// The name under which the server knows the script.
    pub(super) script: String,
}

impl Link {
    /// A link that is not connected yet. Reads the file of certificates.
    ///
    /// # Errors
    /// The file of certificates cannot be used.
    pub(super) fn new(
        config: &Config,
        table: &str,
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
        let name = format!("tidewheel:{table}").chars().map(plain).collect();
        Ok(Self {
            client,
            name,
            place,
            needs_script,
            connection: None,
            run_id: None,
            client_id: None,
            script: String::new(),
        })
    }

    /// True when connected, as far as is known.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Gives the connection up; the next write makes a new one.
    pub(super) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// Connects and logs in, ends the connection before, and compares the server with the one
    /// written to last. `marker` is a key that must be there if anything was written.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub(super) fn connect(
        &mut self,
        config: &Config,
        marker: Option<&str>,
    ) -> Result<Found, Failure> {
        self.connection = None;
        let what = format!("cannot connect to Redis at {}", self.place);
        let failed = |error: &RedisError| {
            let mut failure = Failure::of(error, &what);
            failure.fatal &= failure.message.contains("Redis Cluster");
            failure
        };
        let mut connection = self
            .client
            .get_connection_with_timeout(config.connect_timeout)
            .map_err(|error| failed(&error))?;
        connection
            .set_read_timeout(Some(config.response_timeout))
            .map_err(|e| failed(&e))?;
        connection
            .set_write_timeout(Some(config.response_timeout))
            .map_err(|e| failed(&e))?;

        let run_id = match cmd("INFO").arg("server").query::<String>(&mut connection) {
            Ok(info) => field(&info, "run_id").unwrap_or("").to_owned(),
            // Without the permission the marker alone must do.
            Err(error) if error.code() == Some("NOPERM") => String::new(),
            Err(error) => return Err(failed(&error)),
        };
        let same_server = self.run_id.as_ref().is_none_or(|before| *before == run_id);
        if same_server && let Some(id) = self.client_id.take() {
            let ended: RedisResult<Value> = cmd("CLIENT")
                .arg("KILL")
                .arg("ID")
                .arg(id)
                .query(&mut connection);
            note_refusal(&ended, "CLIENT KILL");
        }
        let named: RedisResult<Value> = cmd("CLIENT")
            .arg("SETNAME")
            .arg(&self.name)
            .query(&mut connection);
        note_refusal(&named, "CLIENT SETNAME");
        self.client_id = cmd("CLIENT").arg("ID").query(&mut connection).ok();
        if self.needs_script {
            self.script = cmd("SCRIPT")
                .arg("LOAD")
                .arg(SET_AND_EXTEND)
                .query(&mut connection)
                .map_err(|error| failed(&error))?;
        }
        let marked = match marker {
            Some(key) => cmd("EXISTS")
                .arg(key)
                .query::<bool>(&mut connection)
                .map_err(|e| failed(&e))?,
            None => true,
        };
        self.run_id = Some(run_id);
        self.connection = Some(connection);
        Ok(if same_server && marked {
            Found::Same
        } else {
            Found::Lost
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
            return Err(Broken(Failure {
                message: "not connected to Redis".to_owned(),
                fatal: false,
                reconnect: true,
            }));
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
            self.connection = None;
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

/// The command is good to have, but not needed: an account without it, or an older server, works.
fn note_refusal(reply: &RedisResult<Value>, command: &str) {
    if let Err(error) = reply
        && error.code() == Some("NOPERM")
    {
        tracing::debug!(
            command,
            "the Redis account may not run this command; going on without"
        );
    }
}
