//! `tallycast watch`: a terminal follows a feed, by long polling.

mod show;

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use reqwest::{StatusCode, Url};

use super::{
    Failure,
    backoff::Backoff,
    complain,
    remote::{Remote, RemoteArgs, Trouble},
};
use show::Feed;

/// How long one request waits for news, in seconds; the server takes up to 55.
const WAIT_SECONDS: u64 = 25;

/// How long a request may take beyond that before its connection counts as dead.
const GRACE: Duration = Duration::from_secs(10);

/// Follows an account: a line for each entry, and its totals.
///
/// It goes on through restarts of the server, from where it was.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    remote: RemoteArgs,
    /// How many past entries to show first, 0 to 100
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=100))]
    recent: u16,
}

pub(super) async fn run(args: WatchArgs) -> Result<(), Failure> {
    let mut watcher = Watcher {
        remote: Remote::new(&args.remote, Duration::from_secs(WAIT_SECONDS) + GRACE)?,
        recent: args.recent,
        position: None,
    };
    let mut backoff = Backoff::default();
    loop {
        match watcher.next().await {
            Ok(Some(message)) => {
                backoff.reset();
                if show(&message).is_err() {
                    // Nobody reads the output any more, as after `| head`.
                    return Ok(());
                }
                watcher.position = Some(message.position);
            }
            Ok(None) => backoff.reset(),
            Err(Trouble::Final(why)) => return Err(Failure::Failed(why)),
            Err(Trouble::Passing { why, pause }) => {
                // Said once, not at every attempt.
                if backoff.failed() == 1 {
                    complain(&format!("{why}; trying on"));
                }
                backoff.wait(pause).await;
            }
        }
    }
}

/// A feed, and how far it was read.
struct Watcher {
    remote: Remote,
    recent: u16,
    position: Option<String>,
}

impl Watcher {
    /// The next message; none when nothing has happened for a while.
    async fn next(&self) -> Result<Option<Feed>, Trouble> {
        let response = self.remote.get(self.asked()).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(None),
            _ => Ok(response.json().await.map(Some)?),
        }
    }

    fn asked(&self) -> Url {
        let mut url = self.remote.url();
        let mut query = url.query_pairs_mut();
        query.append_pair("recent", &self.recent.to_string());
        if let Some(position) = &self.position {
            query.append_pair("after", position);
            query.append_pair("wait", &WAIT_SECONDS.to_string());
        }
        drop(query);
        url
    }
}

fn show(message: &Feed) -> io::Result<()> {
    let mut out = io::stdout().lock();
    message.print(&mut out)?;
    out.flush()
}
