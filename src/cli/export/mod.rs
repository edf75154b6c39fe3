//! `tallycast export`: an account's whole history, as lines of JSON or as a table.

mod draft;
mod format;
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
    Failure,
    remote::{Remote, RemoteArgs},
    signals::Signals,
};
use draft::Draft;
use format::Format;
use pages::{Pages, PagesError};
use progress::Progress;

/// How long a page may take before its connection counts as dead.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes all entries of an account, oldest first.
///
/// Values are written as the ledger has them. If the history changes meanwhile, because a backup was
/// restored for instance, the command fails.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    /// How an entry is written
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// The file to write, which is replaced once the export is whole [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How often in a row to ask a server that does not answer
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
}

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Pages(#[from] PagesError),
    #[error("an entry is not as Tallycast writes it: {0}")]
    Entry(#[from] serde_json::Error),
    #[error("the export could not be written: {0}")]
    Write(#[from] io::Error),
    #[error("interrupted: nothing was exported")]
    Interrupted,
}

pub(super) async fn run(args: ExportArgs) -> Result<(), Failure> {
    let remote = Remote::new(&args.remote, ANSWER_TIMEOUT)?;
    let pages = Pages::new(remote, args.attempts);
    match args.output {
        Some(path) => into_file(pages, args.format, path).await,
        None => into_stdout(pages, args.format).await,
    }
}

async fn into_stdout(pages: Pages, format: Format) -> Result<(), Failure> {
    let progress = Progress::beside_stdout();
    let copied = copy(pages, format, &mut io::stdout(), &progress).await;
    progress.finish();
    match copied {
        // Nobody reads the output any more, as after `| head`.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(Failure::failed),
    }
}

async fn into_file(pages: Pages, format: Format, path: PathBuf) -> Result<(), Failure> {
    // Before there is a draft, which a signal would leave behind.
    let mut signals = Signals::listen().map_err(Failure::failed)?;
    let mut draft = Draft::of(path)?;
    let progress = Progress::new();
    let copied = tokio::select! {
        copied = copy(pages, format, &mut draft, &progress) => copied,
        _ = signals.next() => Err(ExportError::Interrupted),
    };
    progress.finish();
    let done = copied.and_then(|()| Ok(draft.publish()?));
    done.map_err(Failure::failed)
}

/// Writes each page as it comes.
async fn copy(
    mut pages: Pages,
    format: Format,
    out: &mut impl Write,
    progress: &Progress,
) -> Result<(), ExportError> {
    let mut text = format.head();
    loop {
        let page = pages.next(progress).await?;
        format.append(page.entries(), &mut text)?;
        out.write_all(&text)?;
        out.flush()?;
        progress.at(pages.entries());
        if page.is_last() {
            return Ok(());
        }
        text.clear();
    }
}
