use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Accounts, Denied, Grant, Scope, Scopes, numeric_date::NumericDate};
use crate::domain::Account;

/// How far an issuer's clock may be ahead of ours before its `nbf` is in the future. `exp` has no
/// leeway.
const NOT_BEFORE_LEEWAY: Duration = Duration::from_secs(30);

/// The longest life of a token: 100 years. More is a mistake (milliseconds for seconds) or an attack on the
/// arithmetic.
const LIFE_MAX: Duration = Duration::from_secs(100 * 366 * 86_400);

/// The most accounts that a token may list. A token for more needs `"*"`.
const ACCOUNTS_MAX: usize = 1_000;

/// The claims that we read. Types are strict: a number in quotes is refused.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct TokenClaims {
    pub(super) sub: String,
    pub(super) exp: NumericDate,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nbf: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iat: Option<NumericDate>,
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

/// The claims that say whom a token is for, and who made it.
#[derive(Deserialize)]
pub(super) struct PartyClaims {
    #[serde(default, deserialize_with = "present")]
    aud: Option<AudienceClaim>,
    iss: Option<serde_json::Value>,
}

/// One audience, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum AudienceClaim {
    One(String),
    Several(Vec<String>),
}

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
        if let Some(instant) = self.iat.and_then(NumericDate::timestamp) {
            grant = grant.with_issued_at(instant);
        }
        if let Some(id) = self.jti {
            grant = grant.with_token_id(id);
        }
        Ok(grant)
    }

    fn check_times(&self, now: Timestamp) -> Result<Timestamp, Denied> {
        let now = NumericDate::from_timestamp(now);
        if self.exp <= now {
            return Err(Denied::new("it has expired"));
        }
        if self.exp.after(now) > LIFE_MAX {
            return Err(Denied::new(
                "exp is over 100 years ahead; it is in seconds since 1970",
            ));
        }
        if self
            .nbf
            .is_some_and(|nbf| nbf.after(now) > NOT_BEFORE_LEEWAY)
        {
            return Err(Denied::new("nbf is in the future"));
        }
        self.exp
            .timestamp()
            .ok_or_else(|| Denied::new("exp is out of range"))
    }
}

impl PartyClaims {
    /// Checks that the token is for `audience`, if that is given. Otherwise it must not be for anybody else: RFC 7519
    /// section 4.1.3.
    pub(super) fn check_audience(&self, audience: Option<&str>) -> Result<(), Denied> {
        let is_for = |audience: &str| match &self.aud {
            None => false,
            Some(AudienceClaim::One(one)) => one == audience,
            Some(AudienceClaim::Several(several)) => several.iter().any(|one| one == audience),
        };
        match audience {
            None if self.aud.is_none() => Ok(()),
            Some(audience) if is_for(audience) => Ok(()),
            _ => Err(Denied::new("its aud is for another audience")),
        }
    }

    /// Checks that `issuer` made the token, if that is given.
    pub(super) fn check_issuer(&self, issuer: Option<&str>) -> Result<(), Denied> {
        let made_by = self.iss.as_ref().and_then(serde_json::Value::as_str);
        if issuer.is_some() && made_by != issuer {
            return Err(Denied::new("its iss is not the one configured"));
        }
        Ok(())
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
