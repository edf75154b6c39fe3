//! What a request says that opens a connection to follow an account.

use axum::extract::FromRequestParts;
use http::{header::AUTHORIZATION, request::Parts};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Transports, follower::Follower};
use crate::{
    access::{Denied, Grant, Scope},
    api::{Asked, Caller, Named, Problem},
    domain::Account,
    feed::{Feed, Mode, SubscribeOptions},
};

/// Who wants to follow which account, and from where on: permitted.
pub(super) struct Opening {
    pub(super) account: Account,
    pub(super) grant: Grant,
    pub(super) options: SubscribeOptions,
    /// The function that an iframe calls.
    pub(super) callback: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    after: Option<String>,
    mode: Option<String>,
    recent: Option<usize>,
    ticket: Option<String>,
    callback: Option<String>,
}

impl Opening {
    /// Starts to follow.
    pub(super) fn follow(self, transports: &Transports) -> Follower {
        let feed = &transports.api.feed;
        let drain = transports.drain.clone();
        Follower::new(feed, &self.grant, self.account, self.options, drain)
    }

    /// # Errors
    /// `invalid_query` when there is a callback: only the iframe calls one.
    pub(super) fn without_callback(self) -> Result<Self, Problem> {
        match self.callback {
            None => Ok(self),
            Some(_) => Err(invalid("callback is for the iframe alone")),
        }
    }
}

impl FromRequestParts<Transports> for Opening {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        transports: &Transports,
    ) -> Result<Self, Problem> {
        let api = &transports.api;
        if transports.drain.has_begun() {
            return Err(Problem::closing());
        }
        let Asked(query) = Asked::<Query>::from_request_parts(parts, transports).await?;
        let Query {
            after,
            mode,
            recent,
            ticket,
            callback,
        } = query;
        let caller = match ticket {
            // Whoever can send a header does not need the other.
            Some(ticket) if !parts.headers.contains_key(AUTHORIZATION) => {
                Caller(api.tickets.redeem(&ticket, Timestamp::now())?)
            }
            _ => Caller::from_request_parts(parts, transports).await?,
        };
        let Named(account) = Named::from_request_parts(parts, transports).await?;
        caller.check(Scope::Watch, &account)?;
        let options = SubscribeOptions {
            after: after.filter(|after| !after.is_empty()),
            mode: read_mode(mode.as_deref())?,
            recent: read_recent(recent)?,
        };
        let Caller(grant) = caller;
        if grant
            .expires_at()
            .is_some_and(|end| end <= Timestamp::now())
        {
            return Err(Denied::new("its token has ended").into());
        }
        Ok(Self {
            account,
            grant,
            options,
            callback,
        })
    }
}

fn read_mode(mode: Option<&str>) -> Result<Mode, Problem> {
    match mode {
        None | Some("entries") => Ok(Mode::Entries),
        Some("totals") => Ok(Mode::Totals),
        Some(_) => Err(invalid("mode is entries or totals")),
    }
}

fn read_recent(recent: Option<usize>) -> Result<usize, Problem> {
    match recent {
        None => Ok(Feed::RECENT_DEFAULT),
        Some(recent) if recent <= Feed::RECENT_MAX => Ok(recent),
        Some(_) => Err(invalid("recent is 0 to 100 entries")),
    }
}

pub(super) fn invalid(detail: &'static str) -> Problem {
    Problem::bad_request("invalid_query", detail)
}
