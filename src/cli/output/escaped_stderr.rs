use std::io::{self, Write};

use super::terminal_text::TerminalText;
use crate::cli::redact::redact;

const ESCAPE: char = '\u{1b}';

/// Stderr for log lines, without passwords: everything in a line that a terminal would obey is escaped.
pub(in crate::cli) struct EscapedStderr {
    /// Whether the logger colours its lines. It has then escaped the escape characters in their text itself.
    pub(in crate::cli) is_coloured: bool,
}

impl Write for EscapedStderr {
    /// The logger writes a whole line at a time.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = log_line(&redact(&String::from_utf8_lossy(bytes)), self.is_coloured);
        io::stderr().write_all(line.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn log_line(text: &str, is_coloured: bool) -> String {
    let (line, end) = match text.strip_suffix('\n') {
        Some(line) => (line, "\n"),
        None => (text, ""),
    };
    if !is_coloured {
        return format!("{}{end}", TerminalText(line));
    }
    let parts = line
        .split(ESCAPE)
        .map(|part| TerminalText(part).to_string());
    let parts: Vec<_> = parts.collect();
    format!("{}{end}", parts.join("\u{1b}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_keeps_its_end_and_its_own_colours() {
        assert_eq!(
            log_line("\u{1b}[32mINFO\u{9b} \u{202e}x\nforged\n", true),
            "\u{1b}[32mINFO\\u009b \\u202ex\\nforged\n"
        );
        assert_eq!(
            log_line("\u{1b}[32mINFO\r\n", false),
            "\\u001b[32mINFO\\r\n"
        );
    }
}
