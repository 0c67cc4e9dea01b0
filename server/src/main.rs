//! The tidewheel binary.
fn main() {}
