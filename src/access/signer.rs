use std::fmt;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;

use super::{
    Grant, KeyError,
    claims::{AccountsClaim, TokenClaims},
    key,
    numeric_date::NumericDate,
};

/// Signs grants into tokens that [`Jwt::hs256`](super::Jwt::hs256) with the same secret accepts.
///
/// It is for `tallycast token`, tests, and services that hold the secret anyway.
pub struct Signer {
    key: EncodingKey,
    audience: Option<String>,
    issuer: Option<String>,
}

impl Signer {
    /// Signs with a shared secret, by HS256.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret has under 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        key::check_secret(secret.as_ref())?;
        key::choose_crypto();
        Ok(Self {
            key: EncodingKey::from_secret(secret.as_ref()),
            audience: None,
            issuer: None,
        })
    }

    /// Sets the `aud` of its tokens, for a server that requires one.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Sets the `iss` of its tokens, for a server that requires one.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Makes a token for `grant`. It expires at the grant's end, rounded down to a second. Its `iat` and `jti` are the
    /// grant's [`issued_at`](Grant::issued_at), rounded down too, and [`token_id`](Grant::token_id), if it has them.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the grant never expires, or expired before 1970: a token needs an `exp`.
    pub fn sign(&self, grant: &Grant) -> Result<String, KeyError> {
        let exp = grant
            .expires_at()
            .and_then(|instant| u64::try_from(instant.as_second()).ok())
            .map(NumericDate::from_seconds)
            .ok_or_else(KeyError::endless)?;
        let claims = SignedClaims {
            claims: TokenClaims {
                sub: grant.subject().to_owned(),
                exp,
                nbf: None,
                iat: grant.issued_at().map(NumericDate::from_timestamp),
                jti: grant.token_id().map(str::to_owned),
                scope: Some(grant.scopes().to_string()),
                accounts: Some(AccountsClaim::from(grant.accounts())),
            },
            aud: self.audience.as_deref(),
            iss: self.issuer.as_deref(),
        };
        Ok(encode(&Header::new(Algorithm::HS256), &claims, &self.key)
            .expect("a secret signs by HS256, and strings and numbers are JSON"))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct SignedClaims<'a> {
    #[serde(flatten)]
    claims: TokenClaims,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
}
