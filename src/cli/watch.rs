//! `tallycast watch`: a terminal follows a feed, by long polling.

mod backoff;
mod show;

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use reqwest::{Client, Response, StatusCode, Url, header::RETRY_AFTER};
use serde::Deserialize;
use tallycast::Account;

use super::{Failure, bearer::BearerArgs, complain};
use backoff::Backoff;
use show::Feed;

/// How long one request waits for news, in seconds; the server takes up to 55.
const WAIT_SECONDS: u64 = 25;

/// How long a request may take beyond that before its connection counts as dead.
const GRACE: Duration = Duration::from_secs(10);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause that a server may ask for; it may be wrong about itself.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Follows an account: a line for each entry, and its totals.
///
/// It goes on through restarts of the server, from where it was.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// The account to follow
    account: String,
    /// Where the server is
    #[arg(long, env = "TALLYCAST_URL", default_value = "http://127.0.0.1:3000")]
    url: Url,
    #[command(flatten)]
    bearer: BearerArgs,
    /// How many past entries to show first, 0 to 100
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(0..=100))]
    recent: u16,
}

pub(super) async fn run(args: WatchArgs) -> Result<(), Failure> {
    let account = Account::parse(&args.account).map_err(Failure::usage)?;
    let mut watcher = Watcher {
        client: Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_secs(WAIT_SECONDS) + GRACE)
            .build()
            .map_err(Failure::failed)?,
        url: feed_url(args.url.clone(), &account)?,
        token: args.bearer.read()?,
        recent: args.recent,
        position: None,
        backoff: Backoff::default(),
    };
    loop {
        match watcher.next().await {
            Ok(Some(message)) => {
                watcher.backoff.reset();
                if show(&message).is_err() {
                    // Nobody reads the output any more, as after `| head`.
                    return Ok(());
                }
                watcher.position = Some(message.position);
            }
            Ok(None) => watcher.backoff.reset(),
            Err(Trouble::Final(why)) => return Err(Failure::Failed(why)),
            Err(Trouble::Passing { why, pause }) => watcher.backoff.wait(&why, pause).await,
        }
    }
}

/// One customer's feed over HTTP, and how far it was read.
struct Watcher {
    client: Client,
    url: Url,
    token: String,
    recent: u16,
    position: Option<String>,
    backoff: Backoff,
}

/// Why there is no message.
enum Trouble {
    /// Asking again would get the same answer.
    Final(String),
    /// The server may be back soon; it may have said when.
    Passing {
        why: String,
        pause: Option<Duration>,
    },
}

impl Watcher {
    /// The next message; none when nothing has happened for a while.
    async fn next(&self) -> Result<Option<Feed>, Trouble> {
        let request = self.client.get(self.asked()).bearer_auth(&self.token);
        let response = request.send().await.map_err(passing)?;
        match response.status() {
            StatusCode::OK => response.json().await.map(Some).map_err(passing),
            StatusCode::NO_CONTENT => Ok(None),
            _ => Err(refusal(response).await),
        }
    }

    fn asked(&self) -> Url {
        let mut url = self.url.clone();
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

fn passing(error: reqwest::Error) -> Trouble {
    // The URL is the user's own, and long; what matters is the innermost cause.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Trouble::Passing {
        why: cause.to_string(),
        pause: None,
    }
}

/// What an answer that is no message means.
async fn refusal(response: Response) -> Trouble {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Problem {
        code: String,
        detail: String,
    }
    let status = response.status();
    let asked = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let pause = asked
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let problem: Problem = response.json().await.unwrap_or_default();
    let why = format!("{status} {} {}", problem.code, problem.detail);
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Trouble::Passing {
            why,
            pause: pause.map(|pause| pause.min(RETRY_AFTER_MAX)),
        };
    }
    Trouble::Final(why)
}

fn feed_url(mut url: Url, account: &Account) -> Result<Url, Failure> {
    let Ok(mut path) = url.path_segments_mut() else {
        return Err(Failure::usage(format_args!(
            "url {url}: say http://HOST:PORT"
        )));
    };
    path.pop_if_empty()
        .extend(["v1", "feeds", account.as_str()]);
    drop(path);
    Ok(url)
}

/// Says once why nothing comes, not at every attempt.
fn tell_trouble(why: &str) {
    complain(&format!("{why}; trying on"));
}
