use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots for connections on one listener: a limit overall, and one per address.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    peers: Arc<Peers>,
    per_peer_max: usize,
}

/// One connection's place within the limits on connections. Dropping it frees the place.
///
/// Keep it as long as the stream it belongs to, or the limits no longer hold.
#[derive(Debug)]
pub struct Slot {
    _one_of_all: OwnedSemaphorePermit,
    peers: Arc<Peers>,
    peer: IpAddr,
}

/// The number of connections per address. It holds only connected addresses, so it is bounded by the connections.
#[derive(Debug, Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

impl Slots {
    pub(super) fn new(max: usize, per_peer_max: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            peers: Arc::default(),
            per_peer_max,
        }
    }

    /// Waits for a slot of the overall limit. Cancel-safe.
    pub(super) async fn one_of_all(&self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.all).try_acquire_owned() {
            return permit;
        }
        tracing::warn!("the limit on connections is reached: further ones wait until one ends");
        Arc::clone(&self.all)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// The slot for a connection of `address`; `None` if that address has reached its limit.
    pub(super) fn for_peer(&self, permit: OwnedSemaphorePermit, address: IpAddr) -> Option<Slot> {
        let peer = network(address);
        if !self.peers.enter(peer, self.per_peer_max) {
            return None;
        }
        Some(Slot {
            _one_of_all: permit,
            peers: Arc::clone(&self.peers),
            peer,
        })
    }
}

impl Peers {
    fn enter(&self, peer: IpAddr, max: usize) -> bool {
        let mut counts = self.counts();
        let count = counts.get(&peer).copied().unwrap_or(0);
        if count >= max {
            return false;
        }
        counts.insert(peer, count + 1);
        true
    }

    fn leave(&self, peer: IpAddr) {
        let mut counts = self.counts();
        match counts.get_mut(&peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(&peer);
            }
        }
    }

    // Each change is one map operation, so a panic leaves no partial change.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.peers.leave(self.peer);
    }
}

/// The network that counts as one address: with IPv6, one customer has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = v6.to_bits() & (!0 << 64);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
