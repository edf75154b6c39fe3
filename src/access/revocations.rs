use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

use super::{Authorize, Authorizing, Denied, Grant};
use crate::domain::{Invalid, Revocation, RevocationKey, StoredRevocation};

/// The revocations that count. The ledger has the same ones.
#[derive(Debug, Default)]
pub(crate) struct Revocations {
    kept: RwLock<HashMap<RevocationKey, StoredRevocation>>,
    /// How many may be kept.
    max: usize,
    /// Held from the check of the bound until the new revocation counts.
    turn: Mutex<()>,
}

/// The right to add a revocation, until dropped.
pub(crate) struct RevocationTurn<'a> {
    revocations: &'a Revocations,
    #[expect(dead_code, reason = "held, not read")]
    turn: MutexGuard<'a, ()>,
}

impl Revocations {
    /// The revocations of a ledger. If there are more than `max`, they count all the same.
    pub(crate) fn new(stored: impl IntoIterator<Item = StoredRevocation>, max: usize) -> Self {
        let kept = stored.into_iter().map(|stored| (stored.key, stored));
        Self {
            kept: RwLock::new(kept.collect()),
            max,
            turn: Mutex::new(()),
        }
    }

    /// Checks that a grant's token is not revoked.
    ///
    /// # Errors
    /// When it is.
    pub(crate) fn check(&self, grant: &Grant) -> Result<(), Denied> {
        let kept = self.kept.read().expect("nothing panics with the lock");
        // Most servers have none, and need not hash anything.
        if kept.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now();
        let is_covered = |key: RevocationKey| {
            kept.get(&key)
                .is_some_and(|stored| stored.expires_at > now && stored.covers(grant.issued_at()))
        };
        let subject = RevocationKey::of_subject(grant.subject());
        if is_covered(subject) || grant.token_key().is_some_and(is_covered) {
            return Err(Denied::new("it was revoked"));
        }
        Ok(())
    }

    /// Waits until no other revocation is being added. Cancel-safe.
    pub(crate) async fn turn(&self) -> RevocationTurn<'_> {
        RevocationTurn {
            revocations: self,
            turn: self.turn.lock().await,
        }
    }
}

impl RevocationTurn<'_> {
    /// What is to be stored for a revocation that is made at `now`, together with an earlier one of the same tokens.
    ///
    /// # Errors
    /// `invalid_revocation`, or `too_many_revocations` if there is no room.
    pub(crate) fn prepare(
        &self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<StoredRevocation, Invalid> {
        let stored = revocation.stored_at(now)?;
        let mut kept = self.kept();
        if let Some(earlier) = kept.get(&stored.key) {
            return Ok(stored.and(*earlier));
        }
        if kept.len() >= self.revocations.max {
            kept.retain(|_, kept| kept.expires_at > now);
        }
        if kept.len() >= self.revocations.max {
            let max = self.revocations.max;
            return Err(Invalid::new(
                "too_many_revocations",
                format!(
                    "{max} revocations are kept, as many as may be: revoke a whole subject, give an earlier expires_at, \
                     or change the server's secret"
                ),
            ));
        }
        Ok(stored)
    }

    /// Lets a revocation count that is in the ledger.
    pub(crate) fn add(&self, stored: StoredRevocation) {
        self.kept().insert(stored.key, stored);
    }

    fn kept(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<RevocationKey, StoredRevocation>> {
        let kept = self.revocations.kept.write();
        kept.expect("nothing panics with the lock")
    }
}

/// A host's own access, which then also refuses revoked tokens.
pub(crate) struct RevocableAccess {
    access: Box<dyn Authorize>,
    revocations: Arc<Revocations>,
}

impl RevocableAccess {
    pub(crate) fn new(access: Box<dyn Authorize>, revocations: Arc<Revocations>) -> Self {
        Self {
            access,
            revocations,
        }
    }
}

impl Authorize for RevocableAccess {
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
        Box::pin(async move {
            let grant = self.access.authorize(token).await?;
            self.revocations.check(&grant)?;
            Ok(grant)
        })
    }
}
