use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Accounts, Denied, Grant, Revocations, Scope, key};
use crate::domain::Account;

/// Makes and reads tickets. A ticket grants watching one account, in a URL, where a browser cannot send a header.
///
/// Tickets have a signing key of their own, so a ticket is not a token and cannot mint another ticket.
pub(crate) struct Tickets {
    signing: EncodingKey,
    reading: DecodingKey,
    revocations: Arc<Revocations>,
}

/// A ticket, to be sent to the client.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) text: String,
    /// Until when it can open connections.
    pub(crate) expires_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct TicketClaims {
    sub: String,
    account: String,
    /// Until when it can open connections, in seconds since 1970.
    exp: i64,
    /// Until when its connections last, in seconds since 1970; absent if they may last for ever.
    until: Option<i64>,
    /// By what a revocation names the token that it was minted with, in base64: it revokes the ticket too.
    token: Option<String>,
    /// When that token was issued, in milliseconds since 1970.
    iat_ms: Option<i64>,
}

impl Tickets {
    /// How long a ticket can open connections. A page uses it at once, and perhaps again after a disconnect.
    pub(crate) const LIFE: Duration = Duration::from_secs(5 * 60);
    /// Distinguishes a ticket's text from a token's.
    const PREFIX: &str = "ticket.";

    /// Tickets that every server with the same secret can read. The key is derived from the secret, and differs from
    /// it.
    pub(crate) fn new(secret: &[u8]) -> Self {
        key::choose_crypto();
        let key = Sha256::new()
            .chain_update(b"tallycast tickets")
            .chain_update(secret)
            .finalize();
        Self {
            signing: EncodingKey::from_secret(&key),
            reading: DecodingKey::from_secret(&key),
            revocations: Arc::default(),
        }
    }

    /// Also refuses tickets of tokens that are revoked.
    #[must_use]
    pub(crate) fn with_revocations(mut self, revocations: Arc<Revocations>) -> Self {
        self.revocations = revocations;
        self
    }

    /// Tickets that only this process can read.
    ///
    /// # Panics
    /// When the operating system has no random numbers.
    pub(crate) fn of_this_process() -> Self {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the operating system gives random numbers");
        Self::new(&secret)
    }

    /// Whether a text has the form of a ticket, valid or not.
    pub(crate) fn is_ticket(text: &str) -> bool {
        text.starts_with(Self::PREFIX)
    }

    /// Makes a ticket to watch `account` for the subject of `grant`. The caller has checked that the grant allows it.
    pub(crate) fn mint(&self, grant: &Grant, account: &Account, now: Timestamp) -> Ticket {
        let end = now.saturating_add(Self::LIFE).unwrap_or(Timestamp::MAX);
        let end = grant.expires_at().map_or(end, |until| until.min(end));
        let claims = TicketClaims {
            sub: grant.subject().to_owned(),
            account: account.as_str().to_owned(),
            exp: end.as_second(),
            until: grant.expires_at().map(Timestamp::as_second),
            token: grant
                .token_key()
                .map(|key| URL_SAFE_NO_PAD.encode(key.as_bytes())),
            iat_ms: grant.issued_at().map(Timestamp::as_millisecond),
        };
        let signed = encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .expect("a secret signs by HS256, and strings and numbers are JSON");
        Ticket {
            text: format!("{}{signed}", Self::PREFIX),
            expires_at: Timestamp::from_second(claims.exp).unwrap_or(end),
        }
    }

    /// The grant of a ticket: to watch its account, until the token that it was minted with expires.
    ///
    /// # Errors
    /// When it is not one of these tickets, can no longer open connections, or its token is revoked.
    pub(crate) fn redeem(&self, text: &str, now: Timestamp) -> Result<Grant, Denied> {
        let signed = text
            .strip_prefix(Self::PREFIX)
            .ok_or(Denied::new("no ticket"))?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        let claims = decode::<TicketClaims>(signed, &self.reading, &validation)
            .map_err(|error| Denied::new(format!("a ticket: {error}")))?
            .claims;
        if claims.exp <= now.as_second() {
            return Err(Denied::new("an expired ticket"));
        }
        let account = Account::parse(&claims.account);
        let account = account.map_err(|_| Denied::new("a ticket with an invalid account"))?;
        let mut grant = Grant::new(claims.sub, Scope::Watch, Accounts::only(account));
        if let Some(until) = claims.until {
            let until = Timestamp::from_second(until);
            let until = until.map_err(|_| Denied::new("a ticket with an invalid end"))?;
            grant = grant.expiring_at(until);
        }
        if let Some(issued_at) = claims.iat_ms {
            let issued_at = Timestamp::from_millisecond(issued_at);
            let issued_at = issued_at.map_err(|_| Denied::new("a ticket with an invalid iat"))?;
            grant = grant.with_issued_at(issued_at);
        }
        if let Some(token) = claims.token {
            let key: Option<[u8; 32]> = URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|key| key.try_into().ok());
            let key = key.ok_or(Denied::new("a ticket with an invalid token"))?;
            grant = grant.with_token_key(key.into());
        }
        self.revocations.check(&grant)?;
        Ok(grant)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_for_minutes_and_lasts_as_long_as_its_token() {
        let tickets = Tickets::of_this_process();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (alice, hour) = (Account::parse("alice").unwrap(), Duration::from_secs(3_600));
        let grant = Grant::new("a person", Scope::Watch, Accounts::all()).expiring_at(now + hour);
        let ticket = tickets.mint(&grant, &alice, now);
        assert_eq!(ticket.expires_at, now + Tickets::LIFE);
        let redeemed = tickets.redeem(&ticket.text, now).unwrap();
        assert_eq!(redeemed.sole_account(), Some(alice.clone()));
        assert_eq!(redeemed.expires_at(), Some(now + hour));
        assert_eq!((redeemed.token_key(), redeemed.issued_at()), (None, None));
        assert!(tickets.redeem(&ticket.text, ticket.expires_at).is_err());
        assert!(
            Tickets::of_this_process()
                .redeem(&ticket.text, now)
                .is_err()
        );

        let id = "an id that is nobody's business";
        let named = grant.clone().with_token_id(id).with_issued_at(now);
        let ticket = tickets.mint(&named, &alice, now);
        let claims = ticket.text.split('.').nth(2).unwrap();
        let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert!(!claims.contains("business"), "{claims}");
        let redeemed = tickets.redeem(&ticket.text, now).unwrap();
        assert_eq!(redeemed.token_key(), named.token_key());
        assert_eq!(redeemed.issued_at(), Some(now));

        let brief = grant.expiring_at(now + Duration::from_secs(60));
        let ticket = tickets.mint(&brief, &alice, now);
        assert_eq!(ticket.expires_at, now + Duration::from_secs(60));
    }
}
