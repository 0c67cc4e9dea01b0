//! The files of the composed demo, its dashboards and its record shape, by the scripts in tests/services.

mod support_service;

use std::process::{Command, Stdio};
use support_service::{binary, root};

fn script(name: &str, arguments: &[&str]) {
    let output = Command::new(root().join("tests/services").join(name))
        .args(arguments)
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .expect("runs");
    assert!(
        output.status.success(),
        "{name}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_composed_demo_is_fine_as_far_as_files_tell() {
    script("compose.sh", &[]);
}

#[test]
fn a_real_prometheus_has_what_the_dashboards_show() {
    let binary = binary().to_string_lossy().into_owned();
    script("prometheus.sh", &[&binary]);
}

#[test]
fn snowbridges_transform_makes_the_topics_records() {
    let binary = binary().to_string_lossy().into_owned();
    script("transform.sh", &[&binary]);
}

#[test]
fn what_checkpoints_are_in_localstack_outlives_it() {
    script("localstack.sh", &[]);
}
