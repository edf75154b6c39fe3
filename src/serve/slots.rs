use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::activity::Activity;
use super::limits::Limits;
use super::open_connections::OpenConnections;
use super::proxies::TrustedProxies;
use crate::limit_report::LimitReport;

/// How long to wait for a connection to end before looking again for an idle one.
const IDLE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

static CONNECTIONS: LimitReport = LimitReport::new(
    "connections_max",
    "the listener is full: connections wait, and idle ones are closed; raise connections_max, and the limit on open \
     files if it is lower",
);

static CONNECTIONS_PER_PEER: LimitReport = LimitReport::new(
    "connections_per_peer_max",
    "an address has too many connections, and a further one was answered 429; raise connections_per_peer_max, or \
     behind a proxy name it in trusted_proxies",
);

/// The slots for connections on one listener: a limit overall, and one per address.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    open: Arc<OpenConnections>,
    max: usize,
    per_peer_max: usize,
    proxies: TrustedProxies,
}

/// One connection's place within the limits on connections. Dropping it frees the place.
///
/// Keep it as long as the stream it belongs to, or the limits no longer hold.
#[derive(Debug)]
pub struct Slot {
    _one_of_all: OwnedSemaphorePermit,
    open: Arc<OpenConnections>,
    key: usize,
}

impl Slots {
    pub(super) fn new(limits: &Limits, proxies: TrustedProxies) -> Self {
        let max = limits.connections_max.min(Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(max)),
            open: Arc::default(),
            max,
            per_peer_max: limits.per_peer_max(),
            proxies,
        }
    }

    /// The slot for a connection of `address`; `None` if that address has reached its limit and none of its connections
    /// is idle. On a full server it closes an idle connection and waits for its slot.
    ///
    /// Cancel-safe.
    pub(super) async fn enter(&self, address: IpAddr, activity: &Arc<Activity>) -> Option<Slot> {
        let permit = self.one_of_all().await;
        let per_peer_max = match self.proxies.contains(address) {
            true => usize::MAX,
            false => self.per_peer_max,
        };
        let Some(key) = self.open.enter(address, per_peer_max, Arc::clone(activity)) else {
            CONNECTIONS_PER_PEER.turned_away(per_peer_max);
            return None;
        };
        Some(Slot {
            _one_of_all: permit,
            open: Arc::clone(&self.open),
            key,
        })
    }

    async fn one_of_all(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.all).try_acquire_owned() {
            return permit;
        }
        CONNECTIONS.turned_away(self.max);
        loop {
            self.open.close_idlest();
            let permit = Arc::clone(&self.all).acquire_owned();
            if let Ok(permit) = timeout(IDLE_CHECK_INTERVAL, permit).await {
                return permit.expect("the semaphore is never closed");
            }
        }
    }
}

impl Slot {
    /// Records that HTTP has ended on this connection, so that it never counts as idle.
    pub(super) fn was_upgraded(&self) {
        self.open.was_upgraded(self.key);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.open.leave(self.key);
    }
}
