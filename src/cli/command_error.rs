use std::fmt;

/// Why a command failed, as the single line that is printed.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The arguments or the configuration are wrong; nothing was tried. Exit code 2.
    Usage(String),
    /// The command was tried and failed. Exit code 1.
    Failed(String),
}

impl CommandError {
    pub(super) fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(why.to_string())
    }

    pub(super) fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}
