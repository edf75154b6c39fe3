use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for connections on one listener: so many overall, so many per address.
pub(super) struct Slots {
    all: Arc<Semaphore>,
    peers: Arc<Peers>,
    per_peer_max: usize,
}

/// A connection's place among those the server allows; dropping it makes room for another.
///
/// Keep it as long as the stream it came with, or the caps on connections no longer hold.
#[derive(Debug)]
pub struct Slot {
    _one_of_all: OwnedSemaphorePermit,
    peers: Arc<Peers>,
    peer: IpAddr,
}

/// Connections per address. It holds one number per address that is connected now, so it is bounded
/// by the connections themselves.
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

    /// Waits for a place among all. Cancel-safe.
    pub(super) async fn one_of_all(&self) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.all).try_acquire_owned() {
            return place;
        }
        tracing::warn!("as many connections as allowed: further ones wait until one ends");
        Arc::clone(&self.all)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
    }

    /// The place for a connection of `address`, or nothing when the address has all of its own.
    pub(super) fn for_peer(&self, place: OwnedSemaphorePermit, address: IpAddr) -> Option<Slot> {
        let peer = network(address);
        if !self.peers.enter(peer, self.per_peer_max) {
            return None;
        }
        Some(Slot {
            _one_of_all: place,
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

    // Each change is one map operation, so a panic elsewhere leaves nothing half done.
    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.peers.leave(self.peer);
    }
}

/// Whom an address stands for: with IPv6 one customer has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = v6.to_bits() & (!0 << 64);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
