//! A request that opens a connection to follow an account.

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::Timestamp;
use serde::Deserialize;

use super::follower::Follower;
use crate::{
    access::{Denied, Grant, Scope},
    domain::Account,
    feed::SubscribeOptions,
    http::{AccountPath, Caller, Problem, StrictQuery, invalid_query},
    quota::OpenSubscription,
    transport::state::TransportState,
};

/// A permitted request to follow an account.
pub(crate) struct FollowRequest {
    account: Account,
    subscription: OpenSubscription,
    pub(crate) grant: Grant,
    pub(crate) options: SubscribeOptions,
    /// The name of the function that an iframe calls.
    pub(crate) callback: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FollowQuery {
    after: Option<String>,
    mode: Option<String>,
    recent: Option<u64>,
    ticket: Option<String>,
    callback: Option<String>,
}

impl FollowRequest {
    /// Starts following the account.
    pub(crate) fn follow(self, state: &TransportState) -> Follower {
        let open = state.app.grants.open(&self.grant, Some(&self.account));
        let reader = state.app.feed.reader(self.account, self.options);
        let drain = state.drain.clone();
        Follower::new(reader, &self.grant, open, drain, self.subscription)
    }

    /// Refuses a callback.
    ///
    /// # Errors
    /// `invalid_query` if there is a callback: only an iframe calls one.
    pub(crate) fn without_callback(self) -> Result<Self, Problem> {
        match self.callback {
            None => Ok(self),
            Some(_) => Err(invalid_query("callback is only for the iframe")),
        }
    }
}

impl FromRequestParts<TransportState> for FollowRequest {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &TransportState,
    ) -> Result<Self, Problem> {
        if state.drain.has_begun() {
            return Err(Problem::closing());
        }
        let StrictQuery(query) =
            StrictQuery::<FollowQuery>::from_request_parts(parts, state).await?;
        let caller = Caller::identify(&state.app, parts, query.ticket.as_deref()).await?;
        let AccountPath(account) = AccountPath::from_request_parts(parts, state).await?;
        caller.check(Scope::Watch, &account)?;
        let options = SubscribeOptions::parse(query.after, query.mode.as_deref(), query.recent)?;
        let Caller { grant, client } = caller;
        if grant
            .expires_at()
            .is_some_and(|end| end <= Timestamp::now())
        {
            return Err(Denied::new("its token has expired").into());
        }
        let subscription = state.app.usage.subscription(client, &grant, &account)?;
        Ok(Self {
            account,
            subscription,
            grant,
            options,
            callback: query.callback,
        })
    }
}
