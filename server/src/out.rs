//! Standard output: a reader that went away (a pipe to `head`) ends the program quietly.

use std::io::{ErrorKind, Write};

/// Prints a text and a line end.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a text.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            drop(out);
            // Nothing is left to tell it with but the other stream and the code.
            let _ = writeln!(std::io::stderr(), "error: cannot print: {error}");
            std::process::exit(1);
        }
    }
}
