//! Real Redis servers for tests, on a free port of the loopback interface and a Unix socket.

#![allow(dead_code, unreachable_pub)]

use redis::Commands;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer its first command.
const READY_MAX: Duration = Duration::from_secs(20);

/// A server process that ends with the value.
pub struct RedisServer {
    folder: tempfile::TempDir,
    child: Child,
    args: Vec<String>,
    /// The TCP port; with TLS arguments, the TLS port is the caller's.
    pub port: u16,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("its address")
        .port()
}

impl RedisServer {
    /// Starts a server that keeps nothing on disk, with further arguments.
    pub fn start(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let port = free_port();
        let child = spawn(&folder, port, &args);
        let server = Self {
            folder,
            child,
            args,
            port,
        };
        server.wait();
        server
    }

    /// Kills the process at once, as by kill -9.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Starts the process again, without what it held.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.port, &self.args);
        self.wait();
    }

    /// The server's process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address over TCP.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// A connection of the test's own.
    pub fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url())
            .expect("url")
            .get_connection()
            .expect("connection")
    }

    fn wait(&self) {
        let end = Instant::now() + READY_MAX;
        let client = redis::Client::open(self.url()).expect("url");
        loop {
            let answer = client.get_connection().and_then(|mut c| c.ping::<String>());
            match answer {
                Ok(_) => return,
                // A server that wants a password is up.
                Err(error) if error.code() == Some("NOAUTH") => return,
                Err(error) if Instant::now() > end => {
                    panic!("redis-server does not answer: {error}")
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &tempfile::TempDir, port: u16, args: &[String]) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ])
        .args(["--appendonly", "no", "--loglevel", "warning"])
        .arg("--unixsocket")
        .arg(folder.path().join("redis.sock"))
        .arg("--dir")
        .arg(folder.path())
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed (Debian: apt-get install redis-server)")
}
