//! Acks: `{ ok: true, … }` or `{ ok: false, code, message }`.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    domain::{Account, Invalid},
    ledger::Unavailable,
};

/// A finished ack.
pub(super) type Ack = Box<RawValue>;

/// A request that was done.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "{T}Answer")
)]
pub(crate) struct AckOk<T> {
    /// Tells it from a refusal.
    #[cfg_attr(feature = "schema", schemars(extend("const" = true)))]
    ok: bool,
    #[serde(flatten)]
    more: T,
}

/// A request that was not done.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Refused")
)]
pub(crate) struct AckRefused<'a> {
    /// Tells it from an answer.
    #[cfg_attr(feature = "schema", schemars(extend("const" = false)))]
    ok: bool,
    /// Stable, for programs.
    code: &'a str,
    /// What to do about it, for people.
    message: &'a str,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Subscribe")
)]
pub(crate) struct Subscribed<'a> {
    /// The account that is followed now.
    pub(super) account: &'a Account,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Unsubscribe")
)]
pub(crate) struct Unsubscribed {
    /// The account that is not followed any more.
    pub(super) account: Account,
}

#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Authenticate")
)]
pub(crate) struct Authenticated {
    /// When the new token ends; `null` where it does not.
    pub(super) expires_at: Option<Timestamp>,
    /// The accounts that it does not cover, and that are no longer followed.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub(super) ended: Vec<Account>,
}

/// A request that succeeded; `more` serializes to an object.
pub(super) fn done(more: impl Serialize) -> Ack {
    encode(&AckOk { ok: true, more })
}

/// A request that was refused.
pub(super) fn refused(code: &str, message: &str) -> Ack {
    encode(&AckRefused {
        ok: false,
        code,
        message,
    })
}

pub(super) fn invalid(invalid: &Invalid) -> Ack {
    refused(invalid.code(), invalid.message())
}

pub(super) fn unavailable(error: &Unavailable) -> Ack {
    refused(error.request_code(), &error.to_string())
}

/// The same answer whether the account does not exist or the token does not cover it.
pub(super) fn not_found() -> Ack {
    refused(
        "not_found",
        "there is no such account, or this token may not watch it",
    )
}

pub(super) fn encode(value: &impl Serialize) -> Ack {
    to_raw_value(value).expect("our own objects have string keys and nothing that fails")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_asks_too_much_is_told_so() {
        let retry_after = Duration::from_secs(2);
        for (error, code) in [
            (
                Unavailable::TooManyRequests { retry_after },
                "too_many_requests",
            ),
            (Unavailable::Busy("locked".to_owned()), "unavailable"),
            (Unavailable::Closed, "unavailable"),
        ] {
            let ack: serde_json::Value = serde_json::from_str(unavailable(&error).get()).unwrap();
            assert_eq!((&ack["ok"], &ack["code"]), (&false.into(), &code.into()));
        }
    }
}
