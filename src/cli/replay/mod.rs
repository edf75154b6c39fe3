//! `tallycast replay`: posts the rows of a CSV file as events, in order and once each.

mod batch;
mod input;
mod pace;
mod plan;
mod progress;
mod row;
mod row_time;
mod server;
mod tally;
mod zones;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use super::{
    bearer::BearerArgs,
    command_error::CommandError,
    output::print_lines,
    redact::UrlText,
    signals::Signals,
    table::{Columns, TableError},
};
use batch::ReplayBatch;
use input::ReplayInput;
use pace::{Pace, Speed};
use plan::Plan;
use progress::ReplayProgress;
use row::RowMapping;
use row_time::zone;
use server::{ReplayServer, SendError};
use tally::Tally;
use zones::AccountZones;

/// Posts the rows of a CSV file as events, one each.
///
/// The whole file is checked before anything is sent. An event's id is the file's name and the row's number. It is safe to replay the same file again, for example after
/// an interruption: rows that are already recorded count as duplicates and change nothing.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// CSV file, or `-` for stdin; the first row names the columns
    file: PathBuf,
    /// URL of the server, such as `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL")]
    to: UrlText,
    #[command(flatten)]
    bearer: BearerArgs,
    #[command(flatten)]
    columns: Columns,
    /// Unit of the amounts: an ISO 4217 code or a unit's name
    #[arg(long, default_value = "USD")]
    unit: String,
    /// Meter that the amounts add to
    #[arg(long, default_value = "spend")]
    meter: String,
    /// Source of the events; together with the id it identifies duplicates [default: the file's name]
    #[arg(long)]
    source: Option<String>,
    /// Time of the events
    #[arg(long, value_enum, default_value_t = Times::Original)]
    times: Times,
    /// Time zone of all times without an offset, such as `Asia/Shanghai`
    ///
    /// By default each account's own, for which the token must be allowed to watch it.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    time_zone: Option<TimeZone>,
    /// `max`, a factor on the file's own time such as `3600x`, or a rate such as `50/s`
    #[arg(long, default_value = "max")]
    speed: Speed,
    /// How long to retry when the server does not answer
    #[arg(long, value_name = "SECONDS", default_value_t = RETRY_SECONDS,
        value_parser = clap::value_parser!(u64).range(..=RETRY_SECONDS_MAX))]
    retry_for: u64,
}

/// Long enough to replace a server, or to repair its ledger by hand.
const RETRY_SECONDS: u64 = 300;

/// A year.
const RETRY_SECONDS_MAX: u64 = 365 * 24 * 60 * 60;

/// The time of replayed events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Times {
    /// From the file; a date without a time of day gets one on that date, which depends on the row's number
    Original,
    /// The time of arrival
    Now,
}

/// Why a replay did not record every row.
#[derive(Debug, thiserror::Error)]
enum ReplayError {
    #[error("{0}")]
    Table(#[from] TableError),
    #[error("{0}")]
    Send(#[from] SendError),
    #[error(
        "{file} has changed since it was checked: {why}. Once it is complete, run the same command again"
    )]
    Changed { file: String, why: String },
    #[error("{refused} of {rows} rows were not recorded; the first reasons are listed above")]
    Refused { refused: u64, rows: u64 },
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
    #[error("interrupted: run the same command again to continue from here")]
    Interrupted,
}

impl From<ReplayError> for CommandError {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Table(_) | ReplayError::Send(SendError::Url { .. } | SendError::Token) => {
                Self::usage(error)
            }
            _ => Self::failed(error),
        }
    }
}

/// Replays the file. Returns once every row is durable or refused.
pub(super) async fn run(args: ReplayArgs) -> Result<(), CommandError> {
    let token = args.bearer.read()?;
    Ok(replay_file(args, &token).await?)
}

async fn replay_file(args: ReplayArgs, token: &str) -> Result<(), ReplayError> {
    let server = ReplayServer::new(&args.to, token, Duration::from_secs(args.retry_for))?;
    let input = ReplayInput::open(&args.file)?;
    let file = input.path().to_owned();
    let mapping = RowMapping::new(
        &file,
        args.source,
        args.meter,
        args.unit,
        args.times == Times::Original,
    )?;
    let plan = Plan::of(input, &args.columns, mapping)?;
    // Only now: a check that waits for a pipe ends with the signal, as nothing is sent yet.
    let mut signals = Signals::listen().map_err(ReplayError::Signals)?;
    let rows = plan.rows();
    let mut progress = ReplayProgress::new(rows);
    let zones = match args.time_zone {
        Some(zone) => AccountZones::one(zone),
        // No time is sent, or each has its offset.
        None if args.times == Times::Now || !plan.has_local_times() => {
            AccountZones::one(TimeZone::UTC)
        }
        None => AccountZones::of_server(token, &progress),
    };
    let mut tally = Tally::default();
    let ended = tokio::select! {
        ended = send_all(plan, zones, Pace::new(args.speed), &server, &mut progress, &mut tally) => ended,
        _ = signals.next() => Err(ReplayError::Interrupted),
    };
    progress.finish();
    let changed = |why| ReplayError::Changed {
        file: file.display().to_string(),
        why,
    };
    let ended = match ended {
        // The check found no mistake, and counted the rows.
        Err(ReplayError::Table(error)) => Err(changed(error.to_string())),
        Ok(()) if tally.answered() < rows => Err(changed(format!(
            "it had {rows} rows, and now has {}",
            tally.answered()
        ))),
        ended => ended,
    };
    // A reader that has gone does not make the rows less recorded.
    let _ = print_lines(tally.lines());
    ended?;
    match tally.refused() {
        0 => Ok(()),
        refused => Err(ReplayError::Refused { refused, rows }),
    }
}

async fn send_all(
    mut plan: Plan,
    mut zones: AccountZones,
    mut pace: Pace,
    server: &ReplayServer,
    progress: &mut ReplayProgress,
    tally: &mut Tally,
) -> Result<(), ReplayError> {
    let mut batch = ReplayBatch::default();
    loop {
        let group = plan.next_group()?;
        if group.is_empty() {
            break;
        }
        zones.learn(&group, server, progress).await?;
        for event in plan.events(&group, &zones) {
            let due = pace.due(event.happened);
            if !batch.has_room_for(&event) || (due.is_some() && !batch.is_empty()) {
                send(&mut batch, server, progress, tally).await?;
            }
            if let Some(due) = due {
                tokio::time::sleep_until(due).await;
            }
            batch.push(event);
        }
    }
    if !batch.is_empty() {
        send(&mut batch, server, progress, tally).await?;
    }
    Ok(())
}

async fn send(
    batch: &mut ReplayBatch,
    server: &ReplayServer,
    progress: &mut ReplayProgress,
    tally: &mut Tally,
) -> Result<(), ReplayError> {
    for (row, result) in batch.send(server, progress).await? {
        tally.count(row, result);
    }
    progress.at(tally.answered());
    Ok(())
}
