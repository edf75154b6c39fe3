//! `tallycast watch`: follows a feed in a terminal, by long polling.

mod message;

use std::time::Duration;

use clap::Args;
use reqwest::Url;

use super::{
    backoff::Backoff,
    command_error::CommandError,
    output::{print_error, print_lines},
    remote_feed::{RemoteFeed, RemoteFeedArgs, RequestError},
};
use message::WatchMessage;

/// How long one request waits for a message, in seconds. The server accepts up to 55.
const WAIT_SECONDS: u64 = 25;

/// How long a request may take beyond that before its connection is considered dead.
const GRACE: Duration = Duration::from_secs(10);

/// Follows an account: prints a line for each entry, and the totals.
///
/// After a restart of the server it continues where it stopped.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    remote: RemoteFeedArgs,
    /// Number of past entries to print first, 0 to 100
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=100))]
    recent: u16,
}

pub(super) async fn run(args: WatchArgs) -> Result<(), CommandError> {
    let mut poll = LongPoll {
        remote: RemoteFeed::new(&args.remote, Duration::from_secs(WAIT_SECONDS) + GRACE)?,
        recent: args.recent,
        position: None,
    };
    let mut backoff = Backoff::default();
    loop {
        match poll.next().await {
            Ok(Some(message)) => {
                backoff.reset();
                if print_lines(message.lines()).is_err() {
                    // The reader has closed the pipe, as `| head` does.
                    return Ok(());
                }
                poll.position = Some(message.position);
            }
            Ok(None) => backoff.reset(),
            Err(RequestError::Permanent(why)) => return Err(CommandError::Failed(why)),
            Err(RequestError::Temporary { why, pause }) => {
                // Printed once, not at every attempt.
                if backoff.failed() == 1 {
                    print_error(&format!("{why}; retrying"));
                }
                backoff.wait(pause).await;
            }
        }
    }
}

/// A feed, and the position up to which it has been read.
struct LongPoll {
    remote: RemoteFeed,
    recent: u16,
    position: Option<String>,
}

impl LongPoll {
    /// The next message; `None` if there was none within the wait.
    async fn next(&self) -> Result<Option<WatchMessage>, RequestError> {
        let Some(body) = self.remote.get(self.request_url()).await? else {
            return Ok(None);
        };
        let message = serde_json::from_slice(&body);
        message.map(Some).map_err(|error| RequestError::Temporary {
            why: format!("the answer is not a message of a feed: {error}"),
            pause: None,
        })
    }

    fn request_url(&self) -> Url {
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
