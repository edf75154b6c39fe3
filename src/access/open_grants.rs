use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use jiff::Timestamp;

use super::{Grant, Revocations};
use crate::domain::{Account, RevocationKey, StoredRevocation};

/// The parts of the registry, each behind a lock of its own: open connections ask often, from all threads.
const SHARDS: usize = 16;

/// A shard's table is made smaller once it is emptier than this fraction, so that a crowd that has left holds no memory.
const SHRINK_BELOW: usize = 4;
/// Smaller tables are left alone.
const SHRINK_FROM: usize = 64;

/// The grants of everything that is open: connections, and polls that wait. A new revocation finds those that it ends.
#[derive(Debug)]
pub(crate) struct OpenGrants {
    revocations: Arc<Revocations>,
    shards: [Mutex<GrantShard>; SHARDS],
    next: AtomicU64,
}

type GrantShard = HashMap<u64, Box<OpenEntry>>;

/// One open connection. There are many, so it has hashes in place of texts.
#[derive(Debug)]
struct OpenEntry {
    subject: u64,
    token: Option<u64>,
    issued_at: Option<Timestamp>,
    /// The accounts that it follows.
    accounts: Vec<Account>,
    end: Option<GrantEnd>,
    /// The task that waits for the end.
    waker: Option<Waker>,
}

/// Why a connection has to close although its grant has not expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantEnd {
    /// Its token was revoked.
    Revoked,
    /// An administrator closes the connections of its subject or account.
    Disconnected,
}

/// The connections of a person or service, or of a customer. [`Hub::disconnect`](crate::Hub::disconnect) closes them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionsOf {
    /// Those whose token has this subject.
    Subject(String),
    /// Those that follow this account, whoever follows it.
    Account(Account),
}

/// A registered grant, until dropped.
#[derive(Debug)]
pub(crate) struct OpenGrant {
    grants: Arc<OpenGrants>,
    number: u64,
}

impl OpenGrants {
    pub(crate) fn new(revocations: Arc<Revocations>) -> Self {
        Self {
            revocations,
            shards: Default::default(),
            next: AtomicU64::new(0),
        }
    }

    /// The revocations that end grants.
    pub(crate) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Registers the grant of a connection, and the account that it follows, if there is one already.
    pub(crate) fn open(self: &Arc<Self>, grant: &Grant, account: Option<&Account>) -> OpenGrant {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = OpenEntry {
            subject: RevocationKey::of_subject(grant.subject()).short(),
            token: grant.token_key().map(|key| key.short()),
            issued_at: grant.issued_at(),
            accounts: account.cloned().into_iter().collect(),
            end: None,
            waker: None,
        };
        self.shard(number).insert(number, Box::new(entry));
        let open = OpenGrant {
            grants: Arc::clone(self),
            number,
        };
        open.check(grant);
        open
    }

    /// Ends the grants that a new revocation covers, and returns how many these are. The revocation must count already:
    /// a grant that is registered meanwhile is checked against it.
    pub(crate) async fn revoke(&self, revocation: &StoredRevocation) -> usize {
        let key = revocation.key.short();
        let is_covered = |entry: &OpenEntry| match revocation.issued_before {
            None => entry.token == Some(key),
            Some(_) => entry.subject == key && revocation.covers(entry.issued_at),
        };
        self.end_all(GrantEnd::Revoked, is_covered).await
    }

    /// Ends the grants of these connections, and returns how many these are.
    pub(crate) async fn disconnect(&self, connections: &ConnectionsOf) -> usize {
        let end = GrantEnd::Disconnected;
        match connections {
            ConnectionsOf::Subject(subject) => {
                let key = RevocationKey::of_subject(subject).short();
                self.end_all(end, |entry| entry.subject == key).await
            }
            ConnectionsOf::Account(account) => {
                let follows = |entry: &OpenEntry| entry.accounts.contains(account);
                self.end_all(end, follows).await
            }
        }
    }

    async fn end_all(&self, end: GrantEnd, ends: impl Fn(&OpenEntry) -> bool) -> usize {
        let mut ended = 0;
        for shard in &self.shards {
            let mut wakers = Vec::new();
            for entry in lock(shard).values_mut() {
                if entry.end.is_none() && ends(entry) {
                    entry.end = Some(end);
                    ended += 1;
                    wakers.extend(entry.waker.take());
                }
            }
            wakers.into_iter().for_each(Waker::wake);
            // A hundred thousand connections take some milliseconds.
            tokio::task::yield_now().await;
        }
        ended
    }

    fn shard(&self, number: u64) -> MutexGuard<'_, GrantShard> {
        let index = usize::try_from(number % SHARDS as u64).expect("there are few shards");
        lock(&self.shards[index])
    }
}

impl OpenGrant {
    /// Continues with a new grant of the same subject.
    pub(crate) fn renew(&self, grant: &Grant) {
        self.change(|entry| {
            entry.token = grant.token_key().map(|key| key.short());
            entry.issued_at = grant.issued_at();
        });
        self.check(grant);
    }

    /// Records that the connection follows one account more.
    pub(crate) fn follow(&self, account: &Account) {
        self.change(|entry| {
            // Most connections follow one account.
            entry.accounts.reserve_exact(1);
            entry.accounts.push(account.clone());
        });
    }

    /// Records that the connection no longer follows an account.
    pub(crate) fn unfollow(&self, account: &Account) {
        self.change(|entry| entry.accounts.retain(|followed| followed != account));
    }

    /// Resolves once the connection must close. Cancel-safe. Only one task may wait.
    pub(crate) async fn ended(&self) -> GrantEnd {
        poll_fn(|cx| self.poll_ended(cx)).await
    }

    fn poll_ended(&self, cx: &Context<'_>) -> Poll<GrantEnd> {
        self.change(|entry| {
            let Some(end) = entry.end else {
                match &mut entry.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            };
            Poll::Ready(end)
        })
    }

    /// Ends the grant at once if its token is revoked by now. A revocation first counts and then looks for open grants,
    /// so one that does not find this grant is found here.
    fn check(&self, grant: &Grant) {
        if self.grants.revocations.check(grant).is_err() {
            self.change(|entry| entry.end = entry.end.or(Some(GrantEnd::Revoked)));
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut OpenEntry) -> T) -> T {
        let mut shard = self.grants.shard(self.number);
        let entry = shard.get_mut(&self.number);
        change(entry.expect("only dropping this removes it"))
    }
}

impl Drop for OpenGrant {
    fn drop(&mut self) {
        let mut shard = self.grants.shard(self.number);
        shard.remove(&self.number);
        if shard.capacity() > SHRINK_FROM && shard.len() < shard.capacity() / SHRINK_BELOW {
            let len = shard.len();
            shard.shrink_to(len * 2);
        }
    }
}

fn lock(shard: &Mutex<GrantShard>) -> MutexGuard<'_, GrantShard> {
    shard.lock().expect("nothing panics with the lock")
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::{
        access::{Accounts, Scope},
        domain::Revocation,
    };

    fn grants() -> Arc<OpenGrants> {
        let revocations = Revocations::new([], 9);
        Arc::new(OpenGrants::new(Arc::new(revocations)))
    }

    fn grant(id: &str) -> Grant {
        Grant::new("alice", Scope::Watch, Accounts::all()).with_token_id(id)
    }

    async fn revoke(grants: &OpenGrants, id: &str) {
        let turn = grants.revocations().turn().await;
        let revocation = Revocation::of_token(id).unwrap();
        turn.add(turn.prepare(&revocation, Timestamp::now()).unwrap());
    }

    async fn end(open: &OpenGrant) -> Option<GrantEnd> {
        poll_fn(|cx| match open.poll_ended(cx) {
            Poll::Ready(end) => Poll::Ready(Some(end)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// The grant was checked before the revocation, and is registered after it.
    #[tokio::test]
    async fn a_grant_that_is_opened_beside_its_revocation_ends() {
        let grants = grants();
        revoke(&grants, "lost").await;
        assert_eq!(
            end(&grants.open(&grant("lost"), None)).await,
            Some(GrantEnd::Revoked)
        );
        let open = grants.open(&grant("kept"), None);
        assert_eq!(end(&open).await, None);
        open.renew(&grant("lost"));
        assert_eq!(end(&open).await, Some(GrantEnd::Revoked));
    }

    #[tokio::test]
    async fn a_crowd_that_has_left_holds_no_memory() {
        let grants = grants();
        let crowd: Vec<_> = (0..10_000)
            .map(|_| grants.open(&grant("a"), None))
            .collect();
        let stays = grants.open(&grant("a"), None);
        drop(crowd);
        let capacities = grants.shards.iter().map(|shard| lock(shard).capacity());
        assert!(capacities.sum::<usize>() <= 2 * SHARDS * SHRINK_FROM);
        let of_alice = ConnectionsOf::Subject("alice".to_owned());
        assert_eq!(grants.disconnect(&of_alice).await, 1);
        assert_eq!(end(&stays).await, Some(GrantEnd::Disconnected));
    }
}
