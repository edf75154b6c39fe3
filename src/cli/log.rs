//! Log lines, on stderr and without passwords. Stdout is for a command's output.

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, filter_fn},
    fmt,
    prelude::*,
};

use super::{
    command_error::CommandError,
    config::{Config, LogFormat},
    redact::RedactedStderr,
};

/// Crates that log message contents at TRACE, clients' tokens included. Their TRACE lines are dropped, whatever
/// the configured level.
const LOGS_CONTENTS: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Starts logging, for the lifetime of the process.
pub(super) fn start(config: &Config) -> Result<(), CommandError> {
    let filter = EnvFilter::builder()
        .parse(&config.log_level)
        .map_err(|error| {
            CommandError::usage(format_args!("log_level {:?}: {error}", config.log_level))
        })?;
    let lines = match config.log {
        LogFormat::Json => fmt::layer().json().with_writer(|| RedactedStderr).boxed(),
        LogFormat::Pretty => fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(|| RedactedStderr)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(filter_fn(is_free_of_secrets))))
        .try_init();
    started.map_err(CommandError::failed)
}

fn is_free_of_secrets(line: &Metadata<'_>) -> bool {
    let root = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::DEBUG || !LOGS_CONTENTS.contains(&root)
}
