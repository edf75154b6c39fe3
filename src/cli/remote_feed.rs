//! An account's feed on a server, read over HTTP.

use std::{fmt, time::Duration};

use clap::Args;
use reqwest::{Client, Response, StatusCode, Url};
use tallycast::Account;

use super::{
    answer::{AnswerError, cause, describe_refusal, read_answer, retry_after},
    bearer::BearerArgs,
    command_error::CommandError,
    redact::UrlText,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The account, the server's URL, and the token.
#[derive(Debug, Args)]
pub(super) struct RemoteFeedArgs {
    /// The account
    account: String,
    /// URL of the server
    // `--help` would show the value of the variable, which may contain a password.
    #[arg(
        long,
        env = "TALLYCAST_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:3000"
    )]
    url: UrlText,
    #[command(flatten)]
    bearer: BearerArgs,
}

/// One account's feed on a server.
pub(super) struct RemoteFeed {
    client: Client,
    url: Url,
    token: String,
}

/// Why a request failed.
pub(super) enum RequestError {
    /// A retry would fail in the same way.
    Permanent(String),
    /// A retry may succeed, after `pause` if the server named one.
    Temporary {
        why: String,
        pause: Option<Duration>,
    },
}

impl RemoteFeed {
    /// `timeout`: how long a request may take before its connection is considered dead.
    pub(super) fn new(args: &RemoteFeedArgs, timeout: Duration) -> Result<Self, CommandError> {
        let account = Account::parse(&args.account).map_err(CommandError::usage)?;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .build()
            .map_err(CommandError::failed)?;
        Ok(Self {
            client,
            url: feed_url(&args.url, &account)?,
            token: args.bearer.read()?,
        })
    }

    /// The URL of `GET /v1/feeds/{account}`.
    pub(super) fn url(&self) -> Url {
        self.url.clone()
    }

    /// The URL of `GET /v1/feeds/{account}/entries`.
    pub(super) fn entries_url(&self) -> Url {
        let mut url = self.url();
        let path = url.path_segments_mut();
        path.expect("a feed's URL has a path").push("entries");
        url
    }

    /// Sends a GET request and reads the answer; `None` if it is 204. Any other status but 200 is an error.
    pub(super) async fn get(&self, url: Url) -> Result<Option<Vec<u8>>, RequestError> {
        let request = self.client.get(url).bearer_auth(&self.token);
        let response = request.send().await.map_err(|error| {
            let (why, pause) = (cause(error), None);
            RequestError::Temporary { why, pause }
        })?;
        match response.status() {
            StatusCode::OK => Ok(Some(read_answer(response).await?)),
            StatusCode::NO_CONTENT => Ok(None),
            _ => Err(status_error(response).await),
        }
    }
}

impl From<AnswerError> for RequestError {
    fn from(error: AnswerError) -> Self {
        let why = error.to_string();
        match error {
            AnswerError::Broken(_) => Self::Temporary { why, pause: None },
            AnswerError::TooLong => Self::Permanent(why),
        }
    }
}

/// The error that a response with another status means.
async fn status_error(response: Response) -> RequestError {
    let (status, pause) = (response.status(), retry_after(&response));
    let why = describe_refusal(response).await;
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return RequestError::Temporary { why, pause };
    }
    RequestError::Permanent(why)
}

fn feed_url(server: &UrlText, account: &Account) -> Result<Url, CommandError> {
    let bad = |why: &dyn fmt::Display| {
        CommandError::usage(format_args!(
            "--url {server}: {why}; write http://HOST:PORT"
        ))
    };
    let mut url = Url::parse(server.expose()).map_err(|why| bad(&why))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(&"it does not start with http:// or https://"));
    }
    url.path_segments_mut()
        .map_err(|()| bad(&"it has no path"))?
        .pop_if_empty()
        .extend(["v1", "feeds", account.as_str()]);
    Ok(url)
}
