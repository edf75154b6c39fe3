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
    sign(&json!({ "sub": account, "scope": "watch", "exp": in_a_day() }))
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
