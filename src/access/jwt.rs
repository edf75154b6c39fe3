use std::fmt;

use jiff::Timestamp;

use super::{
    Authorize, Authorizing, Denied, Grant, KeyError,
    check::TOKEN_BYTES_MAX,
    claims::{PartyClaims, TokenClaims},
    key::{self, VerifyingKey},
    signed_token::SignedToken,
};

/// Reads grants from signed JSON Web Tokens.
///
/// | claim | |
/// |---|---|
/// | `sub` | required: the grant's subject |
/// | `exp` | required: seconds since 1970, perhaps with a fraction, at most 100 years ahead; no leeway |
/// | `nbf` | honoured, with 30 s of leeway for clocks that differ |
/// | `iat`, `jti` | optional: what a [`Revocation`](crate::domain::Revocation) can name. A number, and a text |
/// | `scope` | words of `watch record push admin` with spaces between; default `watch`; other words grant nothing |
/// | `accounts` | a list of at most 1,000, or `"*"`; default only the `sub`, if it can be an account's name |
/// | `aud`, `iss` | required and compared if configured; if none is configured, a token with an `aud` is refused |
///
/// The key fixes the algorithm: the one in the token's header must be the same (`EdDSA` is also `Ed25519`). The
/// header's `jku`, `jwk`, `x5u` and `x5c` are ignored. A token has at most 8 KiB.
pub struct Jwt {
    keys: Vec<VerifyingKey>,
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
        Ok(Self::new(vec![VerifyingKey::secret(secret.as_ref())?]))
    }

    /// Also accepts tokens that were signed with the previous secret, during a rotation.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the secret has under 32 bytes, or this has a public key.
    pub fn with_previous(mut self, secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        key::check_rotation(&self.keys)?;
        self.keys.push(VerifyingKey::secret(secret.as_ref())?);
        Ok(self)
    }

    /// Tokens signed with the private half of this public key: `EdDSA` (Ed25519), ES256 (P-256) or
    /// RS256 (RSA of 2,048 bits or more), as the key is.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is another kind of key, or a private one.
    pub fn from_public_pem(pem: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::new(vec![VerifyingKey::public_pem(pem.as_ref())?]))
    }

    /// Tokens signed with one of the keys of a JWKS (RFC 7517). The token's `kid` names it; without a
    /// `kid` there must be only one. Encryption keys, symmetric keys and other algorithms are ignored.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not a JWKS, has no usable key, or has several keys without different `kid`s.
    pub fn from_jwks(json: &str) -> Result<Self, KeyError> {
        Ok(Self::new(key::jwks(json)?))
    }

    /// Accepts only tokens whose `aud` is, or contains, this.
    #[must_use]
    pub fn with_audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Accepts only tokens with this `iss`.
    #[must_use]
    pub fn with_issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    fn new(keys: Vec<VerifyingKey>) -> Self {
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
        let token = SignedToken::parse(token)?;
        self.verify_signature(&token)?;
        let parties: PartyClaims = token.claims()?;
        parties.check_audience(self.audience.as_deref())?;
        parties.check_issuer(self.issuer.as_deref())?;
        token.claims::<TokenClaims>()?.grant(now)
    }

    fn verify_signature(&self, token: &SignedToken<'_>) -> Result<(), Denied> {
        let mut denied = Denied::new("no key has its kid");
        for key in self.candidates(token.key_id()) {
            match token.verify(key) {
                Ok(()) => return Ok(()),
                Err(other) => denied = other,
            }
        }
        Err(denied)
    }

    /// The keys to try: the one with this `kid`, or all keys without a `kid` (one, or the two secrets of a
    /// rotation). A `kid` is only compared with those of our keys, never looked up elsewhere.
    fn candidates(&self, kid: Option<&str>) -> impl Iterator<Item = &VerifyingKey> {
        let sole = self.keys.len() == 1;
        self.keys.iter().filter(move |key| match (&key.id, kid) {
            (None, _) => true,
            (Some(id), Some(kid)) => id == kid,
            (Some(_), None) => sole,
        })
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
