//! Log lines, on stderr: stdout is for what a command is asked to print.

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, filter_fn},
    fmt,
    prelude::*,
};

use super::{
    Failure,
    config::{Config, LogFormat},
};

/// These log at TRACE what they carry, and a client's token is among it. They may not, whatever is asked
/// for.
const TALKATIVE: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Starts logging, for the rest of the process.
pub(super) fn start(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::builder()
        .parse(&config.log_level)
        .map_err(|error| {
            Failure::usage(format_args!("log_level {:?}: {error}", config.log_level))
        })?;
    let lines = match config.log {
        LogFormat::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
        LogFormat::Pretty => fmt::layer()
            .with_ansi(io::stderr().is_terminal())
            .with_writer(io::stderr)
            .boxed(),
    };
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(filter.and(filter_fn(keeps_secrets))))
        .try_init();
    started.map_err(Failure::failed)
}

fn keeps_secrets(line: &Metadata<'_>) -> bool {
    let root = line.target().split("::").next().unwrap_or_default();
    *line.level() <= Level::DEBUG || !TALKATIVE.contains(&root)
}
