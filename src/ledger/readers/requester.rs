use std::sync::Arc;

use crate::domain::Account;

/// For whom the ledger is read. Different requesters take turns, and each has bounds of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Requester {
    /// The subject of a token, with all its connections and accounts.
    Subject(Arc<str>),
    /// Whoever reads this account, where no subject is known.
    Account(Account),
    /// The server itself, when it starts.
    Server,
}

impl Requester {
    pub(crate) fn new(subject: Option<&Arc<str>>, account: &Account) -> Self {
        match subject {
            Some(subject) => Self::Subject(subject.clone()),
            None => Self::Account(account.clone()),
        }
    }
}
