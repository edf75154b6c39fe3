use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::verify;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{Denied, key::VerifyingKey};

/// A JSON Web Token in its compact form (RFC 7515, section 7.1), taken apart.
///
/// The library's own reader does not know every name of an algorithm that we take, so it only verifies signatures.
pub(super) struct SignedToken<'a> {
    header: TokenHeader,
    /// The bytes that are signed: header and payload as they were sent.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// What we read of a token's header. Whatever it says about where its key is, we ignore.
#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "even_null")]
    crit: Option<IgnoredAny>,
}

impl<'a> SignedToken<'a> {
    /// Takes a token apart. Nothing in it can be believed before [`verify`](Self::verify).
    ///
    /// # Errors
    /// If it is not a token, or has a critical extension.
    pub(super) fn parse(token: &'a str) -> Result<Self, Denied> {
        let no_token = || Denied::new("it is not a JSON Web Token");
        let (message, signature) = token.rsplit_once('.').ok_or_else(no_token)?;
        let (header, payload) = message.split_once('.').ok_or_else(no_token)?;
        let header: TokenHeader = part(header)?;
        // RFC 7515 section 4.1.11: a critical extension that is not understood must be refused. We understand none.
        if header.crit.is_some() {
            return Err(Denied::new("its header has crit"));
        }
        Ok(Self {
            header,
            message,
            payload,
            signature,
        })
    }

    /// The name of its key.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Checks that this key has signed it. The key chooses the algorithm; the header must name the same one.
    ///
    /// # Errors
    /// If another key has signed it, nobody has, or the header names another algorithm.
    pub(super) fn verify(&self, key: &VerifyingKey) -> Result<(), Denied> {
        if !key.algorithm_names().contains(&self.header.alg.as_str()) {
            return Err(Denied::new("its algorithm is not the key's"));
        }
        let message = self.message.as_bytes();
        match verify(self.signature, message, &key.decoding, key.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Denied::new("its signature is wrong")),
        }
    }

    /// Reads claims.
    ///
    /// # Errors
    /// If a claim is missing or has the wrong form.
    pub(super) fn claims<T: DeserializeOwned>(&self) -> Result<T, Denied> {
        part(self.payload)
    }
}

/// One part of a token. The error does not quote it.
fn part<T: DeserializeOwned>(encoded: &str) -> Result<T, Denied> {
    let wrong = || Denied::new("its header or a claim is missing or has the wrong form");
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| wrong())?;
    // serde would also read an array of the fields in their order.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(wrong());
    }
    serde_json::from_slice(&json).map_err(|_| wrong())
}

/// Takes `null` for present.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IgnoredAny>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(Some)
}
