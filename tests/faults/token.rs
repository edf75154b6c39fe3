//! Tokens, made without the code under test.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The secret of the servers here.
pub(crate) const SECRET: &str = "the secret of the fault experiments, 32 bytes or more";

/// Records for every account.
pub(crate) fn producer() -> String {
    sign(&json!({ "sub": "shop", "scope": "record", "accounts": "*", "exp": in_a_day() }))
}

/// Watches one account.
pub(crate) fn watcher(account: &str) -> String {
    customer(account, "watch")
}

/// Watches one account, as one of several subjects that do: a subject has limits of its own.
pub(crate) fn one_watcher_of(account: &str, number: u64) -> String {
    let sub = format!("{account}-{number}");
    sign(&json!({ "sub": sub, "scope": "watch", "accounts": [account], "exp": in_a_day() }))
}

/// May do something with one account, which is its subject.
pub(crate) fn customer(account: &str, scope: &str) -> String {
    sign(&json!({ "sub": account, "scope": scope, "exp": in_a_day() }))
}

/// Well formed, but signed by somebody else.
pub(crate) fn forged(account: &str) -> String {
    let token = watcher(account);
    let (message, _) = token.rsplit_once('.').expect("it has three parts");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode([7; 32]))
}

fn in_a_day() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs() + 24 * 60 * 60
}

fn sign(claims: &Value) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}
