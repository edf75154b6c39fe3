//! What commands print.

use std::{fmt, io::Write};

use super::redact::redact;

/// Prints a line on stdout. A reader that has gone is not an error.
pub(super) fn print_line(line: impl fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a message on stderr, on one line and without passwords. An empty one is not printed.
pub(super) fn print_error(message: &str) {
    if message.is_empty() {
        return;
    }
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stderr(), "tallycast: {}", redact(&line));
}
