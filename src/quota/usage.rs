use std::{sync::Arc, time::Duration};

use http::{Extensions, HeaderMap};

use super::{
    body_bytes::{BodyBytes, HeldBytes},
    client::{Client, Key, Keys},
    holdings::Holdings,
    rates::Rates,
    settings::Quotas,
    too_many::TooMany,
};
use crate::{access::Grant, domain::Account, limit_report::LimitReport, serve::TrustedProxies};

/// How long a request waits for its rate before it is refused. A client that ignores `Retry-After` would otherwise
/// cost as much as one that is served. What waits is bounded by the connections.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// What a rejected token costs of the rate of requests: nobody needs to try a hundred a second.
const REJECTION_COST: u32 = 20;

/// What all clients use, against the quotas.
#[derive(Debug)]
pub(crate) struct Usage {
    keys: Keys,
    proxies: TrustedProxies,
    address_sessions: Holdings,
    address_session_rate: Rates,
    connection_session_rate: Rates,
    address_request_rate: Rates,
    subject_request_rate: Rates,
    subject_event_rate: Rates,
    account_event_rate: Rates,
    address_subscriptions: Holdings,
    subject_subscriptions: Holdings,
    account_subscriptions: Holdings,
    bytes: Arc<BodyBytes>,
}

macro_rules! reports {
    ($($name:ident: $key:literal, $what:literal;)*) => {
        $(static $name: LimitReport = LimitReport::new(
            $key,
            concat!($what, "; raise ", $key, ", or behind a proxy name it in trusted_proxies"),
        );)*
    };
}

reports! {
    ADDRESS_SESSIONS: "sessions_per_address_max", "an address has too many Socket.IO sessions";
    ADDRESS_SESSION_RATE: "session_rate_per_address", "an address opens Socket.IO sessions too fast";
    CONNECTION_SESSION_RATE: "session_rate_per_connection", "a connection opens Socket.IO sessions too fast";
    ADDRESS_REQUEST_RATE: "request_rate_per_address", "an address sends requests too fast";
    SUBJECT_REQUEST_RATE: "request_rate_per_subject", "a token's subject sends requests too fast";
    SUBJECT_EVENT_RATE: "event_rate_per_subject", "a token's subject records events too fast";
    ACCOUNT_EVENT_RATE: "event_rate_per_account", "events of one account are recorded too fast";
    ADDRESS_SUBSCRIPTIONS: "subscriptions_per_address_max", "an address has too many subscriptions";
    SUBJECT_SUBSCRIPTIONS: "subscriptions_per_subject_max", "a token's subject has too many subscriptions";
    ACCOUNT_SUBSCRIPTIONS: "subscriptions_per_account_max", "an account has too many subscriptions";
}

impl Usage {
    /// `sessions_max` bounds the Socket.IO sessions of all addresses.
    pub(crate) fn new(quotas: &Quotas, proxies: TrustedProxies, sessions_max: usize) -> Self {
        let sessions = quotas.sessions_per_address_max;
        Self {
            keys: Keys::default(),
            proxies,
            address_sessions: Holdings::new(
                sessions.min(sessions_max.div_ceil(4)),
                &ADDRESS_SESSIONS,
            ),
            address_session_rate: Rates::new(
                quotas.session_rate_per_address,
                &ADDRESS_SESSION_RATE,
            ),
            connection_session_rate: Rates::new(
                quotas.session_rate_per_connection,
                &CONNECTION_SESSION_RATE,
            ),
            address_request_rate: Rates::new(
                quotas.request_rate_per_address,
                &ADDRESS_REQUEST_RATE,
            ),
            subject_request_rate: Rates::new(
                quotas.request_rate_per_subject,
                &SUBJECT_REQUEST_RATE,
            ),
            subject_event_rate: Rates::new(quotas.event_rate_per_subject, &SUBJECT_EVENT_RATE),
            account_event_rate: Rates::new(quotas.event_rate_per_account, &ACCOUNT_EVENT_RATE),
            address_subscriptions: Holdings::new(
                quotas.subscriptions_per_address_max,
                &ADDRESS_SUBSCRIPTIONS,
            ),
            subject_subscriptions: Holdings::new(
                quotas.subscriptions_per_subject_max,
                &SUBJECT_SUBSCRIPTIONS,
            ),
            account_subscriptions: Holdings::new(
                quotas.subscriptions_per_account_max,
                &ACCOUNT_SUBSCRIPTIONS,
            ),
            bytes: Arc::new(BodyBytes::new(quotas)),
        }
    }

    /// The client of a request with these extensions and headers.
    pub(crate) fn client(&self, extensions: &Extensions, headers: &HeaderMap) -> Client {
        self.keys.client(&self.proxies, extensions, headers)
    }

    /// Counts a request of an address. Waits a moment for its rate. Cancel-safe.
    pub(crate) async fn request(&self, client: Client) -> Result<(), TooMany> {
        match client.address {
            Some(address) => {
                self.address_request_rate
                    .take_within(address, WAIT_MAX)
                    .await
            }
            None => Ok(()),
        }
    }

    /// Counts a request whose token was accepted. Waits a moment for its subject's rate. Cancel-safe.
    pub(crate) async fn accepted(&self, client: Client, grant: &Grant) -> Result<(), TooMany> {
        if is_backend(grant) {
            if let Some(address) = client.address {
                self.address_request_rate.refund(address, 1);
            }
            return Ok(());
        }
        self.subject_request(grant).await
    }

    /// Counts a request on an open connection. Waits a moment for its subject's rate. Cancel-safe.
    pub(crate) async fn subject_request(&self, grant: &Grant) -> Result<(), TooMany> {
        if is_backend(grant) {
            return Ok(());
        }
        let subject = self.subject(grant);
        self.subject_request_rate
            .take_within(subject, WAIT_MAX)
            .await
    }

    /// Counts a rejected token, beyond the request that it came with.
    pub(crate) fn rejected(&self, client: Client) {
        if let Some(address) = client.address {
            self.address_request_rate
                .charge(address, REJECTION_COST - 1);
        }
    }

    /// Counts events that are about to be recorded, one account each.
    pub(crate) fn events<'a>(
        &self,
        grant: &Grant,
        accounts: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), TooMany> {
        if is_backend(grant) {
            return Ok(());
        }
        let count = u32::try_from(accounts.clone().count()).unwrap_or(u32::MAX);
        self.subject_event_rate.take(self.subject(grant), count)?;
        for account in accounts {
            self.account_event_rate.take(self.keys.of(account), 1)?;
        }
        Ok(())
    }

    /// Counts a new Socket.IO session, until the result is dropped.
    pub(crate) fn session(self: &Arc<Self>, client: Client) -> Result<OpenSession, TooMany> {
        if let Some(connection) = client.connection {
            self.connection_session_rate.take(connection, 1)?;
        }
        if let Some(address) = client.address {
            self.address_session_rate.take(address, 1)?;
            self.address_sessions.take(address, 1)?;
        }
        Ok(OpenSession {
            usage: Arc::clone(self),
            address: client.address,
        })
    }

    /// Counts a subscription, until the result is dropped.
    pub(crate) fn subscription(
        self: &Arc<Self>,
        client: Client,
        grant: &Grant,
        account: &Account,
    ) -> Result<OpenSubscription, TooMany> {
        let mut subscription = OpenSubscription {
            usage: Arc::clone(self),
            address: None,
            subject: None,
            account: None,
        };
        if is_backend(grant) {
            return Ok(subscription);
        }
        // Dropping it gives back what it holds, should a later quota be used up.
        if let Some(address) = client.address {
            self.address_subscriptions.take(address, 1)?;
            subscription.address = Some(address);
        }
        let subject = self.subject(grant);
        self.subject_subscriptions.take(subject, 1)?;
        subscription.subject = Some(subject);
        let account = self.keys.of(account.as_str());
        self.account_subscriptions.take(account, 1)?;
        subscription.account = Some(account);
        Ok(subscription)
    }

    /// The bytes of a request's body, of which none are held yet.
    pub(crate) fn bytes(&self, client: Client, grant: Option<&Grant>) -> HeldBytes {
        let subject = grant.map(|grant| self.subject(grant));
        HeldBytes::none(Arc::clone(&self.bytes), [client.address, subject])
    }

    fn subject(&self, grant: &Grant) -> Key {
        self.keys.of(grant.subject())
    }
}

/// Whether the token is for all accounts, and so a backend's.
fn is_backend(grant: &Grant) -> bool {
    grant.accounts().is_all()
}

/// A Socket.IO session that counts, until dropped.
#[derive(Debug)]
pub(crate) struct OpenSession {
    usage: Arc<Usage>,
    address: Option<Key>,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        if let Some(address) = self.address {
            self.usage.address_sessions.give_back(address, 1);
        }
    }
}

/// A subscription that counts, until dropped.
#[derive(Debug)]
pub(crate) struct OpenSubscription {
    usage: Arc<Usage>,
    address: Option<Key>,
    subject: Option<Key>,
    account: Option<Key>,
}

impl Drop for OpenSubscription {
    fn drop(&mut self) {
        let held = [
            (self.address, &self.usage.address_subscriptions),
            (self.subject, &self.usage.subject_subscriptions),
            (self.account, &self.usage.account_subscriptions),
        ];
        for (client, holdings) in held {
            if let Some(client) = client {
                holdings.give_back(client, 1);
            }
        }
    }
}
