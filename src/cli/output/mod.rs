//! What commands print. Nothing else in the binary writes to stdout or stderr: text from elsewhere may hold commands
//! for a terminal, and here is where they are escaped.

mod escaped_stderr;
mod terminal_text;

use std::{
    fmt,
    io::{self, IsTerminal, Write},
};

use super::redact::redact;
pub(super) use escaped_stderr::EscapedStderr;
pub(super) use terminal_text::TerminalText;

/// The most characters of a message on stderr. Messages of our own are shorter; a server's may have any length.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// Prints a line on stdout. A reader that has gone is not an error.
pub(super) fn print_line(line: impl fmt::Display) {
    let _ = print_lines([line]);
}

/// Prints lines on stdout.
///
/// # Errors
/// If stdout cannot be written, for example because its reader has gone.
pub(super) fn print_lines(
    lines: impl IntoIterator<Item = impl fmt::Display>,
) -> Result<(), io::Error> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", TerminalText(line))?;
    }
    out.flush()
}

/// Prints an error, or trouble that passes, on stderr, on one line and without passwords. An empty one is not printed.
pub(super) fn print_error(message: &str) {
    if message.is_empty() {
        return;
    }
    print_progress(format_args!("tallycast: {}", redact(&one_line(message))));
}

/// Prints a line on stderr about what the command is doing.
pub(super) fn print_progress(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{}", TerminalText(line));
}

/// A message on one line, and no longer than a reader needs.
pub(super) fn one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    shortened(&line, MESSAGE_CHARS_MAX)
}

/// The first characters of a text, with an ellipsis if there are more.
pub(super) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Stdout for data that another program may read. It escapes nothing: if [`stdout_is_terminal`], the caller must.
pub(super) fn data_output() -> impl Write {
    io::stdout()
}

pub(super) fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

pub(super) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}
