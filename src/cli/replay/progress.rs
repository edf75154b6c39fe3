use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::{TerminalText, one_line, print_error, print_progress, stderr_is_terminal};

/// The interval between lines in a log.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress on stderr: a bar on a terminal, otherwise a line every [`LINE_INTERVAL`].
pub(super) struct ReplayProgress {
    rows: u64,
    bar: Option<ProgressBar>,
    line_at: Instant,
}

impl ReplayProgress {
    pub(super) fn new(rows: u64) -> Self {
        let style = ProgressStyle::with_template(
            "{bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left {msg}",
        )
        .expect("the template is a constant, and a test draws it");
        let bar = stderr_is_terminal().then(|| ProgressBar::new(rows).with_style(style));
        Self {
            rows,
            bar,
            line_at: Instant::now() + LINE_INTERVAL,
        }
    }

    /// Sets the number of rows that the server has answered.
    pub(super) fn at(&mut self, answered: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_message("");
                bar.set_position(answered);
            }
            None if Instant::now() >= self.line_at => {
                print_progress(format_args!("{answered} of {} rows", self.rows));
                self.line_at = Instant::now() + LINE_INTERVAL;
            }
            None => {}
        }
    }

    /// Prints a message about trouble that passes.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(TerminalText(one_line(text)).to_string()),
            None => print_error(text),
        }
    }

    /// Prints a message that stays.
    pub(super) fn warn(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| print_error(text)),
            None => print_error(text),
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn progress_can_be_drawn() {
        let mut progress = super::ReplayProgress::new(10);
        progress.at(3);
        progress.note("waiting");
        progress.finish();
    }
}
