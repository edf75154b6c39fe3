//! `tallycast replay`: the rows of a CSV file become events, in order and once each.

mod pace;
mod plan;
mod producer;
mod progress;
mod row;
pub(super) mod table;
mod tally;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::{Failure, bearer::BearerArgs, say, signals::Signals};
use pace::{Pace, Speed};
use plan::Plan;
use producer::{Batch, Producer, SendError};
use progress::Progress;
use row::Naming;
use table::{Columns, TableError};
use tally::Tally;

/// Reports the rows of a CSV file as events, one each.
///
/// A row's id is the file's name and the row's number, so the same file may be replayed again, after a break
/// for instance: what is recorded already counts as a duplicate and changes nothing.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// The CSV file; its first row names the columns
    file: PathBuf,
    /// Where the server is, such as `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    bearer: BearerArgs,
    #[command(flatten)]
    columns: Columns,
    /// What the amounts are in: an ISO 4217 code or a unit's name
    #[arg(long, default_value = "USD")]
    unit: String,
    /// What is counted
    #[arg(long, default_value = "spend")]
    meter: String,
    /// Who reports; with the id, what a repetition is known by [default: the file's name]
    #[arg(long)]
    source: Option<String>,
    /// When the events happened
    #[arg(long, value_enum, default_value_t = Times::Original)]
    times: Times,
    /// `max`, a factor of the file's own time such as `3600x`, or a rate such as `50/s`
    #[arg(long, default_value = "max")]
    speed: Speed,
    /// How many seconds to go on trying when the server does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = RETRY_SECONDS)]
    retry_for: u64,
}

/// Long enough for a server to be replaced, or for its ledger to be repaired by hand.
const RETRY_SECONDS: u64 = 300;

/// When replayed events happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Times {
    /// When the file says; a date without a time of day gets one that depends only on the row's number
    Original,
    /// When they arrive
    Now,
}

/// Why a replay did not record every row.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("{0}")]
    Table(#[from] TableError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Send(#[from] SendError),
    #[error("{refused} of {rows} rows were not recorded; the first reasons are above")]
    Refused { refused: u64, rows: u64 },
    #[error("signals cannot be listened to: {0}")]
    Signals(std::io::Error),
    #[error("interrupted: the same command again goes on from here")]
    Interrupted,
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Table(_)
            | ReplayError::Usage(_)
            | ReplayError::Send(SendError::Url { .. } | SendError::Token) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

/// Replays the file; answers once every row is durable, or refused.
pub(super) async fn run(args: ReplayArgs) -> Result<(), Failure> {
    let token = args.bearer.read()?;
    Ok(replay_file(args, &token).await?)
}

async fn replay_file(args: ReplayArgs, token: &str) -> Result<(), ReplayError> {
    let mut signals = Signals::listen().map_err(ReplayError::Signals)?;
    let producer = Producer::new(&args.to, token, Duration::from_secs(args.retry_for))?;
    let naming = Naming::new(
        &args.file,
        args.source,
        args.meter,
        args.unit,
        args.times == Times::Original,
    )?;
    let plan = Plan::of(&args.file, &args.columns, naming)?;
    let rows = plan.rows();
    let mut progress = Progress::new(rows);
    let mut tally = Tally::default();
    let ended = tokio::select! {
        ended = send_all(plan, Pace::new(args.speed), producer, &mut progress, &mut tally) => ended,
        _ = signals.next() => Err(ReplayError::Interrupted),
    };
    progress.finish();
    say(&tally);
    ended?;
    match tally.refused() {
        0 => Ok(()),
        refused => Err(ReplayError::Refused { refused, rows }),
    }
}

async fn send_all(
    mut plan: Plan,
    mut pace: Pace,
    mut producer: Producer,
    progress: &mut Progress,
    tally: &mut Tally,
) -> Result<(), ReplayError> {
    let mut batch = Batch::default();
    while let Some(event) = plan.next_event()? {
        let due = pace.due(event.happened);
        if !batch.has_room_for(&event) || (due.is_some() && !batch.is_empty()) {
            send(&mut batch, &mut producer, progress, tally).await?;
        }
        if let Some(due) = due {
            tokio::time::sleep_until(due).await;
        }
        batch.push(event);
    }
    if !batch.is_empty() {
        send(&mut batch, &mut producer, progress, tally).await?;
    }
    Ok(())
}

async fn send(
    batch: &mut Batch,
    producer: &mut Producer,
    progress: &mut Progress,
    tally: &mut Tally,
) -> Result<(), ReplayError> {
    let results = producer.send(batch, progress).await?;
    for (row, result) in batch.rows().zip(results) {
        tally.count(row, result);
    }
    progress.at(tally.answered());
    batch.clear();
    Ok(())
}
