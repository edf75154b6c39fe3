use std::collections::{HashMap, HashSet};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::try_join_all;
use jiff::tz::TimeZone;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tallycast::Account;

use super::{
    progress::ReplayProgress,
    row::ReplayRow,
    row_time::{RowZone, zone},
    server::{ReplayServer, SendError},
};

/// Requests for time zones at a time: enough that their way takes little time, and few beside a server's other work.
const REQUESTS_MAX: usize = 8;

/// The most accounts whose zones are remembered. Beyond, all are forgotten and asked for again.
const ACCOUNTS_MAX: usize = 100_000;

/// The time zones in which the accounts of a file count their days.
#[derive(Debug)]
pub(super) enum AccountZones {
    /// One for all accounts.
    One(RowZone),
    /// The server knows them.
    Asked {
        zones: HashMap<Account, RowZone>,
        is_warned: bool,
    },
}

impl AccountZones {
    /// Each account's own, from the server if the token may watch.
    pub(super) fn of_server(token: &str, progress: &ReplayProgress) -> Self {
        if lacks_watch(token) {
            warn(progress);
            return Self::One(RowZone::Unknown);
        }
        Self::Asked {
            zones: HashMap::new(),
            is_warned: false,
        }
    }

    pub(super) fn one(zone: TimeZone) -> Self {
        Self::One(RowZone::Known(zone))
    }

    /// Asks for the zones of these rows' accounts, where they matter and are not known yet.
    pub(super) async fn learn(
        &mut self,
        rows: &[ReplayRow],
        server: &ReplayServer,
        progress: &ReplayProgress,
    ) -> Result<(), SendError> {
        let Self::Asked { zones, is_warned } = self else {
            return Ok(());
        };
        if zones.len() > ACCOUNTS_MAX {
            zones.clear();
        }
        let local = rows.iter().filter(|row| row.when.is_local());
        let accounts: HashSet<_> = local.map(|row| &row.account).collect();
        let unknown = accounts
            .into_iter()
            .filter(|account| !zones.contains_key(*account));
        let unknown: Vec<_> = unknown.cloned().collect();
        for accounts in unknown.chunks(REQUESTS_MAX) {
            let asked = accounts
                .iter()
                .map(|account| ask(account, server, progress));
            let answers = try_join_all(asked).await?;
            let is_refused = |answer: &RowZone| matches!(answer, RowZone::Unknown);
            if !*is_warned && answers.iter().any(is_refused) {
                warn(progress);
                *is_warned = true;
            }
            zones.extend(accounts.iter().cloned().zip(answers));
        }
        Ok(())
    }

    /// The zone of an account that was learned.
    pub(super) fn of(&self, account: &Account) -> &RowZone {
        match self {
            Self::One(zone) => zone,
            Self::Asked { zones, .. } => zones.get(account).unwrap_or(&RowZone::Unknown),
        }
    }
}

/// The time zone in an account's profile; unknown if the token may not watch the account.
async fn ask(
    account: &Account,
    server: &ReplayServer,
    progress: &ReplayProgress,
) -> Result<RowZone, SendError> {
    #[derive(Deserialize)]
    struct AccountProfile {
        time_zone: String,
    }
    let path = ["v1", "accounts", account.as_str()];
    let request = server.request(Method::GET, &path, "tell an account's time zone");
    let url = request.shown_url();
    let answer = server.answer(request, Some(StatusCode::NOT_FOUND), progress);
    let Some(body) = answer.await? else {
        return Ok(RowZone::Unknown);
    };
    let profile = serde_json::from_slice::<AccountProfile>(&body)
        .map_err(|error| format!("the answer is not an account's profile: {error}"));
    let known = profile.and_then(|profile| zone(&profile.time_zone));
    known.map(RowZone::Known).map_err(|why| {
        let answer = format!("{why}. Pass --time-zone");
        SendError::Refused { url, answer }
    })
}

/// Whether a token says that it may not watch, which saves a request for each account. What cannot be read here, the
/// server decides.
fn lacks_watch(token: &str) -> bool {
    #[derive(Deserialize)]
    struct ScopeClaim {
        scope: String,
    }
    let claims = token.split('.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.and_then(|json| serde_json::from_slice::<ScopeClaim>(&json).ok());
    claims.is_some_and(|claims| !claims.scope.split(' ').any(|scope| scope == "watch"))
}

fn warn(progress: &ReplayProgress) {
    progress.warn(
        "the token may not watch, so the accounts' time zones are not known: a date is recorded between 11:00 and 12:00 \
         UTC, which is the same date from UTC-11 to UTC+12, and a time without an offset is taken as UTC. Pass \
         --time-zone, or a token that may also watch",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_says_that_it_may_not_watch_is_believed() {
        let token = |claims: &str| format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
        for claims in [
            r#"{"scope":"record"}"#,
            r#"{"scope":"record push","sub":"a"}"#,
            r#"{"scope":""}"#,
        ] {
            assert!(lacks_watch(&token(claims)), "{claims}");
        }
        for claims in [
            r#"{"scope":"record watch"}"#,
            "{}",
            r#"{"scope":["record"]}"#,
            "no JSON",
        ] {
            assert!(!lacks_watch(&token(claims)), "{claims}");
        }
        for token in ["", "opaque", "a.b.c", "e30."] {
            assert!(!lacks_watch(token), "{token}");
        }
    }
}
