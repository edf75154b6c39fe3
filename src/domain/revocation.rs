use std::fmt;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::Invalid;

/// How long a revocation is kept unless it says so: longer than a token of a year.
const KEPT_BY_DEFAULT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// How far `issued_before` may be ahead of now: as far as the clock of an issuer may be. With more, the tokens that the
/// subject fetches next would be refused too.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Tokens that no longer count, although they are signed and have not expired: one token, or everything that a subject
/// was issued before an instant. [`Hub::revoke`](crate::Hub::revoke) takes it.
///
/// ```
/// # use tallycast::{domain::Revocation, jiff::{Timestamp, ToSpan}};
/// let tomorrow = Timestamp::now() + 24.hours();
/// let token = Revocation::of_token("3f2a9c")?.until(tomorrow);
/// let person = Revocation::of_subject("alice", Timestamp::now())?;
/// # let _ = (token, person);
/// # Ok::<(), tallycast::Invalid>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Revocation {
    tokens: RevokedTokens,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Eq)]
enum RevokedTokens {
    Id(String),
    Subject {
        subject: String,
        issued_before: Timestamp,
    },
}

/// A revocation as a [`Ledger`](crate::ledger::Ledger) stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRevocation {
    /// What it revokes. A ledger stores at most one revocation of each key.
    pub key: RevocationKey,
    /// Of a subject's tokens only those are revoked that were issued before this instant, in whole milliseconds.
    /// `None` if it revokes a single token.
    pub issued_before: Option<Timestamp>,
    /// When it can be forgotten, in whole milliseconds, because the tokens have expired by then.
    pub expires_at: Timestamp,
}

/// A hash of a token's id, or of a subject. Neither is stored itself, since it may be the name of a person who is to be
/// erased one day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevocationKey([u8; 32]);

impl Revocation {
    /// The most bytes of a token's id or a subject: as many as a whole token may have.
    pub const TEXT_BYTES_MAX: usize = 8 * 1024;

    /// Revokes the one token with this id, which is a JWT's `jti`, compared byte by byte.
    ///
    /// # Errors
    /// `invalid_revocation` if it is empty or too long.
    pub fn of_token(id: impl Into<String>) -> Result<Self, Invalid> {
        let id = check_text("a jti", id.into())?;
        Ok(Self {
            tokens: RevokedTokens::Id(id),
            expires_at: None,
        })
    }

    /// Revokes all tokens of a subject that were issued before an instant, and those that do not say when they were
    /// issued. The subject is compared byte by byte.
    ///
    /// A JWT's `iat` is usually in whole seconds. So a token that is issued within the second of `issued_before` may be
    /// revoked too.
    ///
    /// # Errors
    /// `invalid_revocation` if the subject is empty or too long.
    pub fn of_subject(
        subject: impl Into<String>,
        issued_before: Timestamp,
    ) -> Result<Self, Invalid> {
        let subject = check_text("a subject", subject.into())?;
        Ok(Self {
            tokens: RevokedTokens::Subject {
                subject,
                issued_before,
            },
            expires_at: None,
        })
    }

    /// Sets until when it is kept: until the last of the tokens has expired. The default is 400 days.
    #[must_use]
    pub fn until(mut self, expires_at: Timestamp) -> Self {
        self.expires_at = Some(expires_at);
        self
    }

    /// What is stored of it, if it is made at `now`.
    ///
    /// # Errors
    /// `invalid_revocation` if it has expired already, or revokes tokens of the future.
    pub(crate) fn stored_at(&self, now: Timestamp) -> Result<StoredRevocation, Invalid> {
        let later = |time: SignedDuration| now.saturating_add(time).unwrap_or(Timestamp::MAX);
        let expires_at = self.expires_at.unwrap_or_else(|| later(KEPT_BY_DEFAULT));
        if expires_at <= now {
            return Err(invalid(
                "expires_at is over: a revocation is kept until the tokens have expired",
            ));
        }
        let (key, issued_before) = match &self.tokens {
            RevokedTokens::Id(id) => (RevocationKey::of_token(id), None),
            RevokedTokens::Subject {
                subject,
                issued_before,
            } => (RevocationKey::of_subject(subject), Some(*issued_before)),
        };
        if issued_before.is_some_and(|instant| instant > later(AHEAD_MAX)) {
            return Err(invalid(
                "issued_before is over 30 seconds ahead of now: new tokens would be refused too",
            ));
        }
        Ok(StoredRevocation {
            key,
            issued_before: issued_before.map(up_to_millisecond),
            expires_at: up_to_millisecond(expires_at),
        })
    }
}

impl StoredRevocation {
    /// Whether it revokes a token of its key that was issued at this instant, if that is known.
    pub(crate) fn covers(&self, issued_at: Option<Timestamp>) -> bool {
        let (Some(before), Some(issued_at)) = (self.issued_before, issued_at) else {
            return true;
        };
        issued_at < before
    }

    /// Both revocations of one key in one: it takes the later of their instants, so that the second never takes back
    /// what the first did.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            key: self.key,
            issued_before: self.issued_before.max(other.issued_before),
            expires_at: self.expires_at.max(other.expires_at),
        }
    }
}

impl RevocationKey {
    /// The hash, to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of_token(id: &str) -> Self {
        Self::hash(b"token\0", id)
    }

    pub(crate) fn of_subject(subject: &str) -> Self {
        Self::hash(b"subject\0", subject)
    }

    /// Eight bytes of the hash, for what may be many. Two keys have the same ones only by a chance of one in 10^19.
    pub(crate) fn short(&self) -> u64 {
        u64::from_be_bytes(*self.0.first_chunk().expect("the hash is longer"))
    }

    fn hash(kind: &[u8], text: &str) -> Self {
        let hash = Sha256::new().chain_update(kind).chain_update(text);
        Self(hash.finalize().into())
    }
}

impl From<[u8; 32]> for RevocationKey {
    /// A stored hash.
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl fmt::Debug for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationKey").finish_non_exhaustive()
    }
}

impl fmt::Debug for Revocation {
    /// Without the token's id and the subject, which are not logged.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocation")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn check_text(what: &str, text: String) -> Result<String, Invalid> {
    if (1..=Revocation::TEXT_BYTES_MAX).contains(&text.len()) {
        return Ok(text);
    }
    Err(invalid(&format!("{what} has 1 to 8,192 bytes")))
}

fn invalid(message: &str) -> Invalid {
    Invalid::new("invalid_revocation", message)
}

/// Rounded up, so that a ledger that stores milliseconds revokes no less than was asked for.
fn up_to_millisecond(instant: Timestamp) -> Timestamp {
    let millis = (instant.as_nanosecond() + 999_999).div_euclid(1_000_000);
    let millis = i64::try_from(millis).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
