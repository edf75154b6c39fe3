use std::fmt;

use jiff::Timestamp;
use jsonwebtoken::{Validation, decode, decode_header, errors::ErrorKind};

use super::{
    Authorize, Authorizing, Denied, Grant, KeyError,
    check::TOKEN_BYTES_MAX,
    claims::Claims,
    key::{self, Key},
};

/// Reads grants from signed JSON Web Tokens.
///
/// | claim | |
/// |---|---|
/// | `sub` | required: the grant's subject |
/// | `exp` | required: seconds since 1970, an integer, at most 100 years ahead; no leeway |
/// | `nbf` | honoured, with 30 s of leeway for clocks that differ |
/// | `scope` | words of `watch record push admin` with spaces between; default `watch`; other words grant nothing |
/// | `accounts` | a list of at most 1,000, or `"*"`; default the `sub` alone, if it can be an account's name |
/// | `aud`, `iss` | required and compared if configured; an `aud` for somebody else, while none is configured, is refused |
///
/// The key fixes the algorithm: what the token's header says about it must agree and decides nothing,
/// and the header's `jku`, `jwk`, `x5u` and `x5c` are never looked at. Tokens are of 8 KiB at the most.
pub struct Jwt {
    keys: Vec<Key>,
    audience: Option<String>,
    issuer: Option<String>,
}

impl Jwt {
    /// Tokens signed with a shared secret, by HS256.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret has under 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::new(vec![Key::secret(secret.as_ref())?]))
    }

    /// Takes tokens that were signed with the secret before as well, while a rotation lasts.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret has under 32 bytes, or this reader has a public key.
    pub fn with_previous(mut self, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        key::check_rotation(&self.keys)?;
        self.keys.push(Key::secret(secret.as_ref())?);
        Ok(self)
    }

    /// Tokens signed with the private half of this public key: `EdDSA` (Ed25519), ES256 (P-256) or
    /// RS256 (RSA of 2,048 bits or more), as the key is.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no such key, or is a private one.
    pub fn from_public_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::new(vec![Key::public_pem(pem.as_ref())?]))
    }

    /// Tokens signed with one of the keys of a JWKS (RFC 7517). The token's `kid` names it; without a
    /// `kid` there must be only one. Encryption keys, symmetric keys and other algorithms are left out.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no JWKS, has no key of ours, or has keys that their `kid` does not tell apart.
    pub fn from_jwks(json: &str) -> Result<Self, KeyError> {
        Ok(Self::new(key::jwks(json)?))
    }

    /// Takes only tokens whose `aud` is, or holds, this.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Takes only tokens of this `iss`.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    fn new(keys: Vec<Key>) -> Self {
        key::choose_crypto();
        Self {
            keys,
            audience: None,
            issuer: None,
        }
    }

    fn verify(&self, token: &str, now: Timestamp) -> Result<Grant, Denied> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Denied::new("a token of over 8 KiB"));
        }
        let header = decode_header(token).map_err(reason)?;
        // RFC 7515 section 4.1.11: what is critical and not understood must be refused.
        if header.crit.is_some() {
            return Err(Denied::new("its header has crit"));
        }
        let mut denied = Denied::new("no key has its kid");
        for key in self.candidates(header.kid.as_deref()) {
            match decode::<Claims>(token, &key.decoding, &self.validation(key)) {
                Ok(token) => return token.claims.grant(now),
                Err(error) => denied = reason(error),
            }
        }
        Err(denied)
    }

    /// The keys to try: the one that has this `kid`; all of them (one, or the two secrets of a
    /// rotation) if they have none. A `kid` is compared with those we hold, never looked up elsewhere.
    fn candidates(&self, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        let sole = self.keys.len() == 1;
        self.keys.iter().filter(move |key| match (&key.id, kid) {
            (None, _) => true,
            (Some(id), Some(kid)) => id == kid,
            (Some(_), None) => sole,
        })
    }

    /// The signature, `aud` and `iss` are the library's to check; the times are ours, more strictly.
    fn validation(&self, key: &Key) -> Validation {
        let mut validation = Validation::new(key.algorithm);
        let mut required = vec!["exp", "sub"];
        validation.validate_exp = false;
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl Authorize for Jwt {
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
        Box::pin(async move { self.verify(token, Timestamp::now()) })
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys.len())
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .finish()
    }
}

/// The library's own messages may quote the token, so they are not passed on.
fn reason(error: jsonwebtoken::errors::Error) -> Denied {
    Denied::new(match error.kind() {
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => {
            "its algorithm is not the key's"
        }
        ErrorKind::InvalidAudience => "its aud is for somebody else",
        ErrorKind::InvalidIssuer => "its iss is not the one configured",
        ErrorKind::MissingRequiredClaim(_) => "a required claim is missing",
        ErrorKind::Json(_) => "its header or a claim has the wrong form",
        _ => "it is no JSON Web Token",
    })
}
