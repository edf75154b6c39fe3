//! `tallycast export`: writes an account's whole history, as lines of JSON or as CSV.

mod atomic_file;
mod format;
mod formula;
mod pages;
mod progress;
mod row;

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use super::{
    command_error::CommandError,
    output::{data_output, stdout_is_terminal},
    remote_feed::{RemoteFeed, RemoteFeedArgs},
    signals::Signals,
};
use atomic_file::AtomicFile;
use format::{EntryText, ExportFormat};
use pages::{ExportPages, PagesError};
use progress::ExportProgress;

/// How long a page may take before its connection is considered dead.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes all entries of an account, oldest first.
///
/// Values are written as they are stored, with two exceptions: in a table, a text that a spreadsheet would take for a
/// formula gets an apostrophe in front (see --raw), and on a terminal control characters are escaped. The command fails
/// if the history changes during the export, for example because a backup was restored.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    remote: RemoteFeedArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = ExportFormat::Ndjson)]
    format: ExportFormat,
    /// Write a table's cells unchanged, for a program; a spreadsheet may run formulas in them
    #[arg(long)]
    raw: bool,
    /// File to write; it is replaced once the export is complete [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Attempts in a row before giving up on a server that does not answer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
}

/// Why an export is incomplete.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Pages(#[from] PagesError),
    #[error("cannot read an entry: {0}")]
    Entry(#[from] serde_json::Error),
    #[error("the export could not be written: {0}")]
    Write(#[from] io::Error),
    #[error("interrupted: nothing was exported")]
    Interrupted,
}

pub(super) async fn run(args: ExportArgs) -> Result<(), CommandError> {
    let remote = RemoteFeed::new(&args.remote, PAGE_TIMEOUT)?;
    let pages = ExportPages::new(remote, args.attempts);
    let text = EntryText {
        format: args.format,
        is_raw: args.raw,
        is_for_terminal: args.output.is_none() && stdout_is_terminal(),
    };
    match args.output {
        Some(path) => into_file(pages, text, path).await,
        None => into_stdout(pages, text).await,
    }
}

async fn into_stdout(pages: ExportPages, text: EntryText) -> Result<(), CommandError> {
    let progress = ExportProgress::with_stdout();
    let copied = copy(pages, text, &mut data_output(), &progress).await;
    progress.finish();
    match copied {
        // The reader has closed the pipe, as `| head` does.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(CommandError::failed),
    }
}

async fn into_file(pages: ExportPages, text: EntryText, path: PathBuf) -> Result<(), CommandError> {
    // Before the temporary file exists: a signal would otherwise leave it behind.
    let mut signals = Signals::listen().map_err(CommandError::failed)?;
    let mut file = AtomicFile::create(path)?;
    let progress = ExportProgress::new();
    let copied = tokio::select! {
        copied = copy(pages, text, &mut file, &progress) => copied,
        _ = signals.next() => Err(ExportError::Interrupted),
    };
    progress.finish();
    let done = copied.and_then(|()| Ok(file.persist()?));
    done.map_err(CommandError::failed)
}

/// Writes each page as it arrives.
async fn copy(
    mut pages: ExportPages,
    text: EntryText,
    out: &mut impl Write,
    progress: &ExportProgress,
) -> Result<(), ExportError> {
    let mut bytes = text.header();
    loop {
        let page = pages.next(progress).await?;
        text.append(page.entries(), &mut bytes)?;
        out.write_all(&bytes)?;
        out.flush()?;
        progress.at(pages.entries());
        if page.is_last() {
            return Ok(());
        }
        bytes.clear();
    }
}
