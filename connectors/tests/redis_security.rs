//! TLS and access control lists.

#[path = "support/redis.rs"]
mod redis_server;
#[path = "support/tables.rs"]
mod tables;

use arrow::datatypes::DataType::{Int64, Utf8};
use redis::Commands;
use redis_server::{RedisServer, free_port};
use std::path::Path;
use std::process::{Command, Stdio};
use tables::{Col, check, open, progress, table, upserts};
use tidewheel_core::{ChangeBatch, Progress, SinkError, TableSpec};

fn features(url: &str, more: &[(&str, &str)]) -> TableSpec {
    let mut options = vec![
        ("connector", "redis"),
        ("url", url),
        ("key", "user:{user_key}:{column}"),
    ];
    options.extend_from_slice(more);
    table(&[("user_key", Utf8), ("views", Int64)], 1, &options)
}

fn batch(table: &TableSpec) -> ChangeBatch {
    upserts(
        table,
        &[Col::Text(vec![Some("u1")]), Col::Int(vec![Some(5)])],
    )
}

fn write(table: &TableSpec) -> Result<(), SinkError> {
    open(table).write(&batch(table), &progress(1))
}

/// A certificate for 127.0.0.1 that signs itself.
fn certificate(folder: &Path) {
    let status = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args([
            "-subj",
            "/CN=tidewheel-test",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl is installed (Debian: apt-get install openssl)");
    assert!(status.success());
}

#[test]
fn tls_with_a_certificate_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a folder");
    certificate(folder.path());
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (cert, key, port) = (path("cert.pem"), path("key.pem"), free_port());
    let server = RedisServer::start(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        "no",
    ]);
    let url = format!("rediss://127.0.0.1:{port}");
    match write(&features(&url, &[])) {
        Err(SinkError::Retry(message)) => assert!(message.contains("certificate"), "{message}"),
        other => panic!("an unknown authority is not trusted: {other:?}"),
    }
    write(&features(&url, &[("tls.ca-file", &cert)])).expect("trusted by its file");
    write(&features(&url, &[("tls.insecure", "true")])).expect("not checked");
    assert_eq!(
        server
            .connection()
            .get::<_, i64>("user:u1:views")
            .expect("GET"),
        5
    );

    let missing = features(&url, &[("tls.ca-file", "/nowhere/ca.pem")]);
    let error = tables::try_open(&missing).err().expect("must fail");
    assert_eq!(error.option.as_deref(), Some("tls.ca-file"));
    let plain = features(&server.url(), &[("tls.ca-file", &cert)]);
    let error = check(&plain, true).expect_err("TLS options without TLS");
    assert!(error.message.contains("rediss://"), "{error}");
}

#[test]
fn an_account_with_few_rights() {
    let server = RedisServer::start(&[]);
    let mut redis = server.connection();
    let mut account = |name: &str, rules: &[&str]| {
        let mut set = redis::cmd("ACL");
        set.arg("SETUSER")
            .arg(name)
            .arg("on")
            .arg(">secret")
            .arg(rules);
        let _: () = set.query(&mut redis).expect("ACL SETUSER");
    };
    let keys = ["~user:*", "~tidewheel:progress:*"];
    // The least that strings need: no INFO, no CLIENT.
    account(
        "least",
        &[keys[0], keys[1], "+set", "+del", "+hset", "+exists"],
    );
    account(
        "hashes",
        &[
            keys[0],
            keys[1],
            "+@hash",
            "+exists",
            "+evalsha",
            "+script|load",
            "+pttl",
        ],
    );
    account("noprogress", &[keys[0], "+@all"]);
    let url = |user: &str| format!("redis://{user}:secret@127.0.0.1:{}", server.port);

    write(&features(&url("least"), &[("ttl", "1 min")])).expect("written");
    // PING may not be granted; a refusal is an answer.
    for progress in [Progress::default(), progress(1)] {
        let table = features(&url("least"), &[]);
        let mut sink = open(&table);
        sink.write(&batch(&table), &progress).expect("written");
        sink.verify().expect("stands");
    }
    let hash = [
        ("layout", "hash"),
        ("key", "user:{user_key}"),
        ("ttl", "1 min"),
    ];
    match write(&features(&url("least"), &hash)) {
        Err(SinkError::Retry(message)) => {
            assert!(
                message.contains("NOPERM") && message.contains("+evalsha"),
                "{message}"
            );
        }
        other => panic!("expected Retry, got {other:?}"),
    }
    // Commands inside the script need their permission too.
    match write(&features(&url("hashes"), &hash)) {
        Err(SinkError::Retry(_)) => {}
        other => panic!("expected Retry, got {other:?}"),
    }
    account("hashes", &["+pexpire"]);
    write(&features(&url("hashes"), &hash)).expect("written");
    match write(&features(&url("noprogress"), &[])) {
        Err(SinkError::Retry(message)) => {
            assert!(message.contains("tidewheel:progress"), "{message}");
        }
        other => panic!("expected Retry, got {other:?}"),
    }
    // User name and password as options, not in the URL.
    let options = [("username", "least"), ("password", "secret")];
    write(&features(&server.url(), &options)).expect("written");
}
