use std::io::{IsTerminal, stdout};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::complain;

/// Shows on stderr how many entries were exported, if that is a terminal.
pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template("{human_pos} entries")
            .expect("the template is a constant that a test draws");
        Self {
            bar: ProgressBar::new_spinner().with_style(style),
        }
    }

    /// Entries on a terminal show by themselves how far it is.
    pub(super) fn beside_stdout() -> Self {
        if stdout().is_terminal() {
            return Self {
                bar: ProgressBar::hidden(),
            };
        }
        Self::new()
    }

    /// So many entries were written.
    pub(super) fn at(&self, entries: u64) {
        self.bar.set_position(entries);
    }

    /// Something that whoever waits should know.
    pub(super) fn note(&self, text: &str) {
        self.bar.suspend(|| complain(text));
    }

    /// Makes room for what comes after.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn progress_can_be_drawn() {
        let progress = super::Progress::new();
        progress.at(3);
        progress.finish();
    }
}
