//! Checks whether a socket may connect to the feed.

use std::sync::Arc;

use jiff::Timestamp;

use super::{request::FeedAuth, request_queue::RequestQueue};
use crate::{
    access::{Grant, Scope, Tickets, Unauthorized, authorize},
    domain::{Account, Invalid},
    feed::SubscribeOptions,
    http::AppState,
    quota::{Client, OpenSubscription, TooMany},
};

/// A socket that was admitted and whose CONNECT is about to be answered.
pub(super) struct Admission {
    /// Its number among the session's feed sockets.
    pub(super) number: u32,
    pub(super) permit: Permit,
    /// Closed once the socket has disconnected.
    pub(super) requests: Arc<RequestQueue>,
}

/// What a socket may do, and what it asked for when it connected.
pub(super) struct Permit {
    pub(super) grant: Grant,
    /// The account of requests that name none.
    pub(super) account: Option<Account>,
    /// What to follow at once.
    pub(super) first: Option<First>,
}

/// The subscription that a CONNECT asks for.
pub(super) struct First {
    pub(super) account: Account,
    pub(super) options: SubscribeOptions,
    pub(super) subscription: OpenSubscription,
}

/// Checks the payload of a CONNECT; `bearer` is the token of the session's request.
///
/// # Errors
/// The code of the refusal.
pub(super) async fn check(
    app: &AppState,
    auth: Option<&str>,
    bearer: Option<&str>,
    client: Client,
) -> Result<Permit, &'static str> {
    let refused = |too_many: TooMany| Invalid::from(too_many).code();
    app.usage.request(client).await.map_err(refused)?;
    let mut auth = FeedAuth::parse(auth).map_err(|invalid| invalid.code())?;
    let token = auth.token.take();
    let token = token.as_deref().or(bearer).ok_or("unauthorized")?;
    let grant = grant_of(app, token).await.inspect_err(|code| {
        if *code == "unauthorized" {
            app.usage.rejected(client);
        }
    })?;
    app.usage.accepted(client, &grant).await.map_err(refused)?;
    let wants_subscription = auth.wants_subscription();
    // An account id that is invalid cannot exist.
    let (account, options) = auth
        .into_subscribe()
        .map_err(|invalid| match invalid.code() {
            "invalid_account" => "not_found",
            code => code,
        })?;
    let account = account.or_else(|| grant.sole_account());
    if let Some(account) = &account
        && !may_watch(&grant, account)
    {
        return Err("not_found");
    }
    let first = match account.clone().filter(|_| wants_subscription) {
        Some(account) => {
            let subscription = app.usage.subscription(client, &grant, &account);
            Some(First {
                account,
                options,
                subscription: subscription.map_err(refused)?,
            })
        }
        None => None,
    };
    Ok(Permit {
        grant,
        account,
        first,
    })
}

/// The grant of a token or a ticket.
async fn grant_of(app: &AppState, token: &str) -> Result<Grant, &'static str> {
    if Tickets::is_ticket(token) {
        let redeemed = app.tickets.redeem(token, Timestamp::now());
        return redeemed.map_err(|denied| denied.code());
    }
    match authorize(&*app.access, token).await {
        Ok(grant) => Ok(grant),
        Err(Unauthorized::Denied(denied)) => {
            tracing::debug!(reason = denied.reason(), "a token was refused");
            Err("unauthorized")
        }
        Err(Unauthorized::TimedOut) => Err("unavailable"),
    }
}

pub(super) fn may_watch(grant: &Grant, account: &Account) -> bool {
    grant.allows(Scope::Watch) && grant.permits(account)
}
