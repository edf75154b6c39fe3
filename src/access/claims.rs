use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{Accounts, Denied, Grant, Scope, Scopes};
use crate::domain::Account;

/// How far an issuer's clock may be ahead of ours, in seconds, before its `nbf` is in the future. `exp` has no
/// leeway.
const NOT_BEFORE_LEEWAY_SECONDS: u64 = 30;

/// The longest life of a token, in seconds: 100 years. More is a mistake (milliseconds for seconds) or an attack
/// on the arithmetic.
const LIFE_SECONDS_MAX: u64 = 100 * 366 * 86_400;

/// The most accounts that a token may list. A token for more needs `"*"`.
const ACCOUNTS_MAX: usize = 1_000;

/// The claims that we read. Types are strict: a number in quotes is refused.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct TokenClaims {
    pub(super) sub: String,
    pub(super) exp: u64,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<IssuedAt>,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scope: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) accounts: Option<AccountsClaim>,
}

/// When a token was issued. RFC 7519 (section 2) allows fractions of a second, and some issuers send them.
#[derive(Debug)]
pub(super) struct IssuedAt(pub(super) Timestamp);

#[derive(Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum AccountsClaim {
    Word(String),
    List(Vec<String>),
}

impl TokenClaims {
    /// The grant of these claims at `now`.
    ///
    /// # Errors
    /// When the token is not valid at this time, or a claim is not.
    pub(super) fn grant(self, now: Timestamp) -> Result<Grant, Denied> {
        let expires_at = self.check_times(now)?;
        if self.sub.is_empty() {
            return Err(Denied::new("sub is empty"));
        }
        let scopes = match &self.scope {
            Some(words) => Scopes::known_in(words),
            None => Scope::Watch.into(),
        };
        let accounts = match self.accounts {
            Some(claim) => claim.accounts()?,
            None => Accounts::list(Account::parse(&self.sub)),
        };
        let mut grant = Grant::new(self.sub, scopes, accounts).expiring_at(expires_at);
        if let Some(IssuedAt(instant)) = self.iat {
            grant = grant.with_issued_at(instant);
        }
        if let Some(id) = self.jti {
            grant = grant.with_token_id(id);
        }
        Ok(grant)
    }

    fn check_times(&self, now: Timestamp) -> Result<Timestamp, Denied> {
        // A clock before 1970 reads as 1970, so it refuses tokens: their `nbf` is in the future, or their life is
        // longer than the bound allows.
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        if self.exp <= now {
            return Err(Denied::new("it has expired"));
        }
        if self.exp - now > LIFE_SECONDS_MAX {
            return Err(Denied::new(
                "exp is over 100 years ahead; it is in seconds since 1970",
            ));
        }
        if self
            .nbf
            .is_some_and(|nbf| nbf > now + NOT_BEFORE_LEEWAY_SECONDS)
        {
            return Err(Denied::new("nbf is in the future"));
        }
        let exp = i64::try_from(self.exp).map_err(|_| Denied::new("exp is out of range"))?;
        Timestamp::from_second(exp).map_err(|_| Denied::new("exp is out of range"))
    }
}

impl<'de> Deserialize<'de> for IssuedAt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = SignedDuration::try_from_secs_f64(f64::deserialize(deserializer)?);
        let instant = seconds.and_then(Timestamp::from_duration);
        instant.map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for IssuedAt {
    /// Whole seconds: not all verifiers accept fractions.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0.as_second())
    }
}

impl AccountsClaim {
    fn accounts(self) -> Result<Accounts, Denied> {
        let list = match self {
            Self::Word(word) if word == "*" => return Ok(Accounts::all()),
            Self::Word(_) => return Err(Denied::new(r#"accounts must be a list or "*""#)),
            Self::List(list) => list,
        };
        if list.len() > ACCOUNTS_MAX {
            return Err(Denied::new("over 1,000 accounts; use \"*\""));
        }
        list.iter()
            .map(|account| Account::parse(account))
            .collect::<Result<Vec<_>, _>>()
            .map(Accounts::list)
            .map_err(|_| Denied::new("accounts holds something that is not an account"))
    }
}

impl From<&Accounts> for AccountsClaim {
    fn from(accounts: &Accounts) -> Self {
        match accounts.as_list() {
            Some(list) => Self::List(list.iter().map(|one| one.as_str().to_owned()).collect()),
            None => Self::Word("*".to_owned()),
        }
    }
}

/// Refuses `null`, which serde would read as absent: an absent claim means the default.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
