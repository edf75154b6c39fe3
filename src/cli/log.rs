//! Log lines, on stderr and without passwords. Stdout is for a command's output.

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
    output::{EscapedStderr, stderr_is_terminal},
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
    let is_coloured = config.log == LogFormat::Pretty && stderr_is_terminal();
    let lines = fmt::layer()
        .with_ansi(is_coloured)
        .with_writer(move || EscapedStderr { is_coloured });
    let lines = match config.log {
        LogFormat::Json => lines.json().boxed(),
        LogFormat::Pretty => lines.boxed(),
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
