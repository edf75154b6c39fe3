//! Acks: `{ ok: true, … }` or `{ ok: false, code, message }`.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::{domain::Invalid, ledger::Unavailable};

/// A finished ack.
pub(super) type Answer = Box<RawValue>;

#[derive(Serialize)]
struct Yes<T> {
    ok: bool,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct No<'a> {
    ok: bool,
    code: &'a str,
    message: &'a str,
}

/// It was done; `more` is an object.
pub(super) fn done(more: impl Serialize) -> Answer {
    encode(&Yes { ok: true, more })
}

/// It was not done.
pub(super) fn refused(code: &str, message: &str) -> Answer {
    encode(&No {
        ok: false,
        code,
        message,
    })
}

pub(super) fn invalid(invalid: &Invalid) -> Answer {
    refused(invalid.code(), invalid.message())
}

pub(super) fn unavailable(_: &Unavailable) -> Answer {
    refused(
        "unavailable",
        "the ledger is not available: try again later",
    )
}

/// The same answer for an account that is not there and for one that is somebody else's.
pub(super) fn not_found() -> Answer {
    refused(
        "not_found",
        "there is no such account, or this token may not watch it",
    )
}

pub(super) fn encode(value: &impl Serialize) -> Answer {
    to_raw_value(value).expect("our own objects have string keys and nothing that fails")
}
