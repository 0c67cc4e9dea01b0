//! What the embedded store remembers of a query's progress.
//!
//! Not beside tests that start servers: between fork and exec a child has the store's lock too.

#[path = "support/progress.rs"]
mod remembers;
#[path = "support/tables.rs"]
mod tables;

use remembers::{features, is_read_back_and_never_goes_back, notes_stay_until_they_are_dropped};

#[test]
fn a_store_remembers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    is_read_back_and_never_goes_back(&features("store", ("path", &path)));
}

#[test]
fn a_store_keeps_notes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    notes_stay_until_they_are_dropped(&features("store", ("path", &path)));
}
