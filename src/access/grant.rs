use std::sync::Arc;

use jiff::Timestamp;

use super::{Scope, Scopes};
use crate::domain::Account;

/// Who the caller is, what they may do, and until when.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    subject: Arc<str>,
    scopes: Scopes,
    accounts: Accounts,
    expires_at: Option<Timestamp>,
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
        }
    }

    /// The same grant, until `instant`. Connections that it opened are closed then.
    #[must_use]
    pub fn expiring_at(mut self, instant: Timestamp) -> Self {
        self.expires_at = Some(instant);
        self
    }

    /// Who it is: a person or a service. One subject may hold several accounts.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether it has `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether it covers `account`. What may be done there, [`Grant::allows`] tells.
    pub fn permits(&self, account: &Account) -> bool {
        self.accounts.contains(account)
    }

    /// The account, if it covers exactly one: an app then need not name it.
    pub fn sole_account(&self) -> Option<Account> {
        self.accounts.sole()
    }

    /// Everything that it allows.
    pub fn scopes(&self) -> Scopes {
        self.scopes
    }

    /// Every account that it covers.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// When it ends; `None` is never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// The accounts that a grant covers. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts(Cover);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cover {
    /// Sorted and without repeats, for the binary search.
    List(Arc<[Account]>),
    All,
}

impl Accounts {
    /// Every account there is or will be.
    pub fn all() -> Self {
        Self(Cover::All)
    }

    /// This one.
    pub fn only(account: Account) -> Self {
        Self(Cover::List(Arc::new([account])))
    }

    /// Those of a list, which may be empty; repeats count once.
    pub fn list(accounts: impl IntoIterator<Item = Account>) -> Self {
        let mut accounts: Vec<Account> = accounts.into_iter().collect();
        accounts.sort_unstable();
        accounts.dedup();
        Self(Cover::List(accounts.into()))
    }

    /// Whether `account` is one of them.
    pub fn contains(&self, account: &Account) -> bool {
        match &self.0 {
            Cover::List(list) => list.binary_search(account).is_ok(),
            Cover::All => true,
        }
    }

    /// Whether it is every account there is: some routes need that.
    pub fn is_all(&self) -> bool {
        matches!(self.0, Cover::All)
    }

    /// The account, if there is exactly one.
    pub fn sole(&self) -> Option<Account> {
        match &self.0 {
            Cover::List(list) => match list.as_ref() {
                [account] => Some(account.clone()),
                _ => None,
            },
            Cover::All => None,
        }
    }

    /// The list in order, or `None` if it is all.
    pub(super) fn as_list(&self) -> Option<&[Account]> {
        match &self.0 {
            Cover::List(list) => Some(list),
            Cover::All => None,
        }
    }
}
