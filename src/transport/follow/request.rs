//! A request that opens a connection to follow an account.

use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};

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
    /// What a polyfill of `EventSource` has added.
    pub(crate) event_source: EventSourceParameters,
}

/// What clients of Server-Sent Events add to the address by themselves.
pub(crate) struct EventSourceParameters {
    /// The id of the last event that the client received, where it does not send a header.
    pub(crate) last_event_id: Option<String>,
    /// Whether it has added others, which mean nothing here.
    has_others: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FollowQuery {
    after: Option<String>,
    mode: Option<String>,
    recent: Option<u64>,
    ticket: Option<String>,
    callback: Option<String>,
    /// Of npm `event-source-polyfill` and `reconnecting-eventsource`; of npm `eventsource-polyfill`.
    #[serde(rename = "lastEventId", alias = "evs_last_event_id")]
    last_event_id: Option<String>,
    /// Of npm `event-source-polyfill`, for browsers that hold back the first kilobytes.
    padding: Option<IgnoredAny>,
    /// Of npm `eventsource-polyfill`, for the same.
    evs_preamble: Option<IgnoredAny>,
    /// Of npm `eventsource-polyfill`, which connects again once it has received so much.
    evs_buffer_size_limit: Option<IgnoredAny>,
    /// Of Angular apps, whose service worker then leaves the request alone.
    #[serde(rename = "ngsw-bypass")]
    ngsw_bypass: Option<IgnoredAny>,
}

impl FollowQuery {
    fn has_other_event_source_parameters(&self) -> bool {
        let others = [
            &self.padding,
            &self.evs_preamble,
            &self.evs_buffer_size_limit,
            &self.ngsw_bypass,
        ];
        others.iter().any(|other| other.is_some())
    }
}

impl FollowRequest {
    /// Starts following the account.
    pub(crate) fn follow(self, state: &TransportState) -> Follower {
        let open = state.app.grants.open(&self.grant, Some(&self.account));
        let reader = state
            .app
            .feed_for(&self.grant)
            .reader(self.account, self.options);
        let drain = state.drain.clone();
        Follower::new(reader, &self.grant, open, drain, self.subscription)
    }

    /// Refuses what only one route takes.
    ///
    /// # Errors
    /// `invalid_query` if there is a callback, or a parameter of an `EventSource`.
    pub(crate) fn common(self) -> Result<Self, Problem> {
        self.without_callback()?.without_event_source()
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

    /// Refuses the parameters of an `EventSource`.
    ///
    /// # Errors
    /// `invalid_query` if there is one.
    pub(crate) fn without_event_source(self) -> Result<Self, Problem> {
        match self.event_source {
            EventSourceParameters {
                last_event_id: None,
                has_others: false,
            } => Ok(self),
            _ => Err(invalid_query(
                "lastEventId, evs_…, padding and ngsw-bypass are only for sse: here, use after",
            )),
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
        let has_others = query.has_other_event_source_parameters();
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
            event_source: EventSourceParameters {
                last_event_id: query.last_event_id,
                has_others,
            },
        })
    }
}
