use std::{fmt, sync::Arc};

use jiff::Timestamp;

use super::{Scope, Scopes};
use crate::domain::{Account, RevocationKey};

/// Who the caller is, what they may do, and until when.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    subject: Arc<str>,
    scopes: Scopes,
    accounts: Accounts,
    expires_at: Option<Timestamp>,
    token: Option<TokenName>,
    issued_at: Option<Timestamp>,
}

/// How a revocation names the token.
#[derive(Clone, PartialEq, Eq)]
enum TokenName {
    Id(Arc<str>),
    /// Of a ticket, which everybody can read, and which therefore does not hold its token's id.
    Key(Arc<RevocationKey>),
}

impl Grant {
    /// A grant that does not expire; see [`Grant::expiring_at`].
    pub fn new(
        subject: impl Into<Arc<str>>,
        scopes: impl Into<Scopes>,
        accounts: Accounts,
    ) -> Self {
        Self {
            subject: subject.into(),
            scopes: scopes.into(),
            accounts,
            expires_at: None,
            token: None,
            issued_at: None,
        }
    }

    /// Sets when it expires. Connections that it opened are closed then.
    #[must_use]
    pub fn expiring_at(mut self, instant: Timestamp) -> Self {
        self.expires_at = Some(instant);
        self
    }

    /// Sets the id of its token, such as a JWT's `jti` or the id of a session, so that this one token can be revoked
    /// with [`Hub::revoke`](crate::Hub::revoke).
    #[must_use]
    pub fn with_token_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.token = Some(TokenName::Id(id.into()));
        self
    }

    /// Sets what the id of its token is hashed to.
    #[must_use]
    pub(super) fn with_token_key(mut self, key: RevocationKey) -> Self {
        self.token = Some(TokenName::Key(Arc::new(key)));
        self
    }

    /// Sets when its token was issued. A revocation of everything that its subject was issued before an instant leaves
    /// it alone if it was issued at that instant or later. Without it, the grant counts as issued before any instant.
    #[must_use]
    pub fn with_issued_at(mut self, instant: Timestamp) -> Self {
        self.issued_at = Some(instant);
        self
    }

    /// The caller: a person or a service. One subject may have several accounts.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The same, without a copy.
    pub(crate) fn shared_subject(&self) -> Arc<str> {
        self.subject.clone()
    }

    /// Whether it has `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether it covers `account`; [`Grant::allows`] tells what may be done there.
    pub fn permits(&self, account: &Account) -> bool {
        self.accounts.contains(account)
    }

    /// The account, if it covers exactly one. An app then need not name it.
    pub fn sole_account(&self) -> Option<Account> {
        self.accounts.sole()
    }

    /// The scopes that it allows.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// The accounts that it covers.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// When it expires; `None` if never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The id of its token, if it has one and is not of a ticket.
    pub fn token_id(&self) -> Option<&str> {
        match &self.token {
            Some(TokenName::Id(id)) => Some(id),
            Some(TokenName::Key(_)) | None => None,
        }
    }

    /// By what a revocation names its token, if it has an id.
    pub(super) fn token_key(&self) -> Option<RevocationKey> {
        Some(match self.token.as_ref()? {
            TokenName::Id(id) => RevocationKey::of_token(id),
            TokenName::Key(key) => **key,
        })
    }

    /// When its token was issued, if that is known.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }
}

impl fmt::Debug for TokenName {
    /// A host may take a session's secret for its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenName").finish_non_exhaustive()
    }
}

/// The accounts that a grant covers. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts(AccountSet);

#[derive(Clone, Debug, PartialEq, Eq)]
enum AccountSet {
    /// Sorted and without repeats, for binary search and comparison.
    List(Arc<[Account]>),
    All,
}

impl Accounts {
    /// Every account, present and future.
    pub fn all() -> Self {
        Self(AccountSet::All)
    }

    /// Only this account.
    pub fn only(account: Account) -> Self {
        Self(AccountSet::List(Arc::new([account])))
    }

    /// The accounts of a list, which may be empty or have repeats.
    pub fn list(accounts: impl IntoIterator<Item = Account>) -> Self {
        let mut accounts: Vec<Account> = accounts.into_iter().collect();
        accounts.sort_unstable();
        accounts.dedup();
        Self(AccountSet::List(accounts.into()))
    }

    /// Whether `account` is one of them.
    pub fn contains(&self, account: &Account) -> bool {
        match &self.0 {
            AccountSet::List(list) => list.binary_search(account).is_ok(),
            AccountSet::All => true,
        }
    }

    /// Whether it is every account, which some routes require.
    pub fn is_all(&self) -> bool {
        matches!(self.0, AccountSet::All)
    }

    /// The account, if there is exactly one.
    pub fn sole(&self) -> Option<Account> {
        match &self.0 {
            AccountSet::List(list) => match list.as_ref() {
                [account] => Some(account.clone()),
                _ => None,
            },
            AccountSet::All => None,
        }
    }

    /// The list in order, or `None` if it is all.
    pub(super) fn as_list(&self) -> Option<&[Account]> {
        match &self.0 {
            AccountSet::List(list) => Some(list),
            AccountSet::All => None,
        }
    }
}
