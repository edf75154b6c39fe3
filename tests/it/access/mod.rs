//! Access: the grants that tokens give, and the pages that may call.

mod claims;
mod keys;
mod origins;
mod signer;

use serde_json::Value;
use tallycast::{Authorize, Grant, Jwt, access::Denied};

use crate::support::tokens::{self, SECRET, hs256};

async fn authorize(jwt: &Jwt, token: &str) -> Result<Grant, Denied> {
    jwt.authorize(token).await
}

async fn grant(changes: Value) -> Grant {
    let jwt = Jwt::hs256(SECRET).unwrap();
    authorize(&jwt, &hs256(&tokens::claims(changes)))
        .await
        .unwrap()
}
