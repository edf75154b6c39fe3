//! An account's feed on a server, as the commands that read it over HTTP ask for it.

use std::time::Duration;

use clap::Args;
use reqwest::{Client, Response, StatusCode, Url, header::RETRY_AFTER};
use serde::Deserialize;
use tallycast::Account;

use super::{Failure, bearer::BearerArgs};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause that a server may ask for; it may be wrong about itself.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Which feed, where, and by which right.
#[derive(Debug, Args)]
pub(super) struct RemoteArgs {
    /// The account
    account: String,
    /// Where the server is
    #[arg(long, env = "TALLYCAST_URL", default_value = "http://127.0.0.1:3000")]
    url: Url,
    #[command(flatten)]
    bearer: BearerArgs,
}

/// One account's feed over HTTP.
pub(super) struct Remote {
    client: Client,
    url: Url,
    token: String,
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// Asking again would get the same answer.
    Final(String),
    /// The server may be back soon; it may have said when.
    Passing {
        why: String,
        pause: Option<Duration>,
    },
}

impl Remote {
    /// `timeout`: how long a request may take before its connection counts as dead.
    pub(super) fn new(args: &RemoteArgs, timeout: Duration) -> Result<Self, Failure> {
        let account = Account::parse(&args.account).map_err(Failure::usage)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .build()
            .map_err(Failure::failed)?;
        Ok(Self {
            client,
            url: feed_url(args.url.clone(), &account)?,
            token: args.bearer.read()?,
        })
    }

    /// Where `GET /v1/feeds/{account}` is.
    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// Where `GET /v1/feeds/{account}/entries` is.
    pub(super) fn entries_url(&self) -> Url {
        let mut url = self.url();
        let path = url.path_segments_mut();
        path.expect("a feed has a path").push("entries");
        url
    }

    /// A 200 or 204; whatever else is the trouble.
    pub(super) async fn get(&self, url: Url) -> Result<Response, Trouble> {
        let request = self.client.get(url).bearer_auth(&self.token);
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(response),
            _ => Err(refusal(response).await),
        }
    }
}

impl From<reqwest::Error> for Trouble {
    fn from(error: reqwest::Error) -> Self {
        // The URL is the user's own, and long; what matters is the innermost cause.
        let error = error.without_url();
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Self::Passing {
            why: cause.to_string(),
            pause: None,
        }
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
