use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::output::{print_error, stdout_is_terminal};

/// Shows the number of exported entries on stderr, if that is a terminal.
pub(super) struct ExportProgress {
    bar: ProgressBar,
}

impl ExportProgress {
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template("{human_pos} entries")
            .expect("the template is a constant, and a test draws it");
        Self {
            bar: ProgressBar::new_spinner().with_style(style),
        }
    }

    /// For an export to stdout: hidden if that is a terminal, where the entries themselves show the progress.
    pub(super) fn with_stdout() -> Self {
        if stdout_is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        Self::new()
    }

    /// Sets the number of entries written so far.
    pub(super) fn at(&self, entries: u64) {
        self.bar.set_position(entries);
    }

    /// Prints a message for the user.
    pub(super) fn note(&self, text: &str) {
        self.bar.suspend(|| print_error(text));
    }

    /// Removes the progress line.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn progress_can_be_drawn() {
        let progress = super::ExportProgress::new();
        progress.at(3);
        progress.finish();
    }
}
