//! The README's first session with the service, run as it stands there.

mod support_service;

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use support_service::{binary, root};

const SECTION: &str = "## A first session with the service";

/// The section's text.
fn section() -> String {
    let readme = fs::read_to_string(root().join("README.md")).expect("reads");
    let (_, after) = readme.split_once(SECTION).expect("the section is there");
    after.split("\n## ").next().expect("text").to_owned()
}

#[test]
fn each_command_of_the_first_session_works() {
    let section = section();
    let commands: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("    $ "))
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    let (_, sql) = section.split_once("```sql\n").expect("a query");
    let (sql, _) = sql.split_once("```").expect("its end");

    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("queries")).expect("makes");
    for file in fs::read_dir(root().join("queries")).expect("lists") {
        let path = file.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            fs::copy(&path, at(&format!("queries/{name}"))).expect("copies");
        }
    }
    fs::write(at("visits.sql"), sql).expect("writes");
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let server = format!("127.0.0.1:{port}");
    let mut script = String::from("set -e -u\ntrap 'kill $(jobs -p)' EXIT\n");
    for command in &commands {
        // The simulator must have made its log before a source can follow it.
        script.push_str(&format!(
            "echo \"$ {}\" >&2\n",
            command.replace(['"', '`', '$'], "'")
        ));
        script.push_str(&command.replace("127.0.0.1:8080", &server));
        script.push('\n');
        if command.contains("simulate") {
            script.push_str("until [ -d live/log ]; do sleep 0.1; done\n");
        }
    }
    script.push_str("echo all done\n");
    let path = std::env::var("PATH").unwrap_or_default();
    let own = binary().parent().expect("a folder").display();
    let output = Command::new("timeout")
        .args(["120", "bash", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", format!("{own}:{path}"))
        .env("TIDEWHEEL_SERVER", format!("http://{server}"))
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{text}\n{errors}",
        output.status
    );
    for shown in [
        "{\"ready\":true",
        "\"op\":\"upsert\"",
        "\"found\":true",
        "visits is gone",
        "all done",
    ] {
        assert!(
            text.contains(shown),
            "'{shown}' is not in:\n{text}\n{errors}"
        );
    }
    assert!(!at("queries/visits.sql").exists());
}
