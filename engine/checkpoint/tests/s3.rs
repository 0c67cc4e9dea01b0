//! Checkpoints in a bucket, by a real S3 server of `tests/services/s3.sh`.
//!
//! Credentials come from the environment, so each part runs in a process of its own.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewheel_checkpoint::{ObjectStorage, Storage};

/// More than is sent in one part.
const LARGE: usize = (20 << 20) + 1;

struct Server {
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            port: port.local_addr().unwrap().port(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn script(arguments: &[&str], checks_keys: bool) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/services/s3.sh");
        let mut command = Command::new(script);
        command.args(arguments);
        if checks_keys {
            command.env("S3_CHECKS_KEYS", "1");
        }
        assert!(command.status().unwrap().success(), "{arguments:?}");
    }

    fn start(&self, checks_keys: bool) {
        let port = self.port.to_string();
        let folder = self.folder.path().to_str().unwrap();
        Self::script(&["start", &port, folder], checks_keys);
    }

    fn kill(&self) {
        Self::script(&["kill", self.folder.path().to_str().unwrap()], false);
    }

    /// Runs one part below with the environment that reaches this server.
    fn part(&self, name: &str) {
        let test: PathBuf = std::env::current_exe().unwrap();
        let output = Command::new(test)
            .args(["--exact", name, "--ignored"])
            .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text}");
        assert!(text.contains("1 passed"), "{name}: {text}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_bucket_keeps_objects_and_is_away_in_between() {
    let server = Server::new();
    server.start(false);
    server.part("objects_are_written_listed_and_removed");
    server.kill();
    server.part("a_server_that_is_away_is_an_error_that_says_where");
    server.start(false);
    server.part("objects_are_written_listed_and_removed");
}

#[test]
fn wrong_credentials_are_told_without_the_secret() {
    let server = Server::new();
    server.start(true);
    server.part("refused_credentials_are_an_error");
}

fn open(location: &str) -> ObjectStorage {
    ObjectStorage::open(location).unwrap()
}

#[test]
#[ignore = "a part of a_bucket_keeps_objects_and_is_away_in_between"]
fn objects_are_written_listed_and_removed() {
    let storage = open("s3://checkpoints/some/prefix");
    assert_eq!(storage.list("shop/").unwrap(), []);
    assert_eq!(storage.get("shop/a").unwrap(), None);
    storage.put("shop/a", b"1".to_vec()).unwrap();
    storage.put("shop/a", b"22".to_vec()).unwrap();
    assert_eq!(storage.get("shop/a").unwrap(), Some(b"22".to_vec()));
    // A claim is granted once.
    assert!(storage.put_new("shop/lease-1", b"x".to_vec()).unwrap());
    assert!(!storage.put_new("shop/lease-1", b"y".to_vec()).unwrap());
    assert_eq!(storage.get("shop/lease-1").unwrap(), Some(b"x".to_vec()));
    // In parts.
    let large: Vec<u8> = (0..LARGE).map(|at| (at / 1000) as u8).collect();
    storage.put("shop/large", large.clone()).unwrap();
    assert_eq!(storage.get("shop/large").unwrap(), Some(large));
    storage.put("shop2/other", Vec::new()).unwrap();
    let listed = storage.list("shop/l").unwrap();
    let names: Vec<(&str, u64)> = listed.iter().map(|(n, l)| (n.as_str(), *l)).collect();
    assert_eq!(names, [("shop/large", LARGE as u64), ("shop/lease-1", 1)]);
    // The prefix is a folder in the bucket.
    let whole = open("s3://checkpoints");
    assert_eq!(whole.list("some/prefix/").unwrap().len(), 4);
    for (name, _) in whole.list("").unwrap() {
        whole.delete(&name).unwrap();
        whole.delete(&name).unwrap();
    }
    assert_eq!(storage.list("").unwrap(), []);
    let nowhere = open("s3://no-such-bucket");
    let error = nowhere.put("a", b"1".to_vec()).unwrap_err().to_string();
    assert!(
        error.contains("NoSuchBucket") || error.contains("404"),
        "{error}"
    );
}

#[test]
#[ignore = "a part of a_bucket_keeps_objects_and_is_away_in_between"]
fn a_server_that_is_away_is_an_error_that_says_where() {
    let storage = open("s3://checkpoints/some/prefix");
    for result in [
        storage.put("shop/a", b"1".to_vec()).map(|()| true),
        storage.put_new("shop/b", b"1".to_vec()),
        storage.get("shop/a").map(|_| true),
        storage.list("shop/").map(|_| true),
    ] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("127.0.0.1"), "{error}");
    }
}

#[test]
#[ignore = "a part of wrong_credentials_are_told_without_the_secret"]
fn refused_credentials_are_an_error() {
    let storage = open("s3://checkpoints");
    let error = storage.put("a", b"1".to_vec()).unwrap_err().to_string();
    assert!(
        error.contains("InvalidAccessKeyId") || error.contains("403"),
        "{error}"
    );
    assert!(!error.contains("secret-of-the-test"), "{error}");
}
