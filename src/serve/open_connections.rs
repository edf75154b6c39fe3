use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slab::Slab;

use super::activity::Activity;

/// How many connections are compared to find the one that has been idle the longest. It bounds the work of one accept
/// on a full server; the next one continues where this one stopped.
const COMPARED_MAX: usize = 1_024;

/// The open connections of one listener: how many each address has, and which are idle.
#[derive(Debug, Default)]
pub(super) struct OpenConnections(Mutex<ConnectionTable>);

#[derive(Debug, Default)]
struct ConnectionTable {
    all: Slab<OpenConnection>,
    /// The keys of each address's connections. Addresses without any are removed, which bounds it.
    networks: HashMap<IpAddr, Vec<usize>>,
    /// Where the last comparison stopped.
    cursor: usize,
}

#[derive(Debug)]
struct OpenConnection {
    network: IpAddr,
    /// Its index among its address's keys.
    place: usize,
    /// `None` once HTTP has ended: it is not idle then.
    activity: Option<Arc<Activity>>,
}

impl OpenConnections {
    /// Registers a connection of `address`. If the address has `max` already, its connection that has waited for a
    /// request the longest is closed; `None` if none waits.
    pub(super) fn enter(
        &self,
        address: IpAddr,
        max: usize,
        activity: Arc<Activity>,
    ) -> Option<usize> {
        let network = network(address);
        let mut table = self.lock();
        if table.is_full(network, max) && !table.close_idlest_of(network) {
            return None;
        }
        let ConnectionTable { all, networks, .. } = &mut *table;
        let keys = networks.entry(network).or_default();
        let place = keys.len();
        let key = all.insert(OpenConnection {
            network,
            place,
            activity: Some(activity),
        });
        keys.push(key);
        Some(key)
    }

    pub(super) fn leave(&self, key: usize) {
        let mut table = self.lock();
        let ConnectionTable { all, networks, .. } = &mut *table;
        let OpenConnection { network, place, .. } = all.remove(key);
        let keys = networks.get_mut(&network).expect("its key is in the list");
        keys.swap_remove(place);
        if let Some(moved) = keys.get(place) {
            all[*moved].place = place;
        } else if keys.is_empty() {
            networks.remove(&network);
        }
    }

    /// Records that HTTP has ended on this connection.
    pub(super) fn was_upgraded(&self, key: usize) {
        self.lock().all[key].activity = None;
    }

    /// Closes the connection that has waited for a request the longest. Returns whether there is one.
    pub(super) fn close_idlest(&self) -> bool {
        let mut table = self.lock();
        // A slab's keys are below its capacity.
        let end = table.all.capacity().max(1);
        let start = table.cursor % end;
        table.cursor = start + COMPARED_MAX;
        let keys = (start..end).chain(0..start);
        close_idlest(keys.take(COMPARED_MAX).filter_map(|key| table.all.get(key)))
    }

    // Every method completes its changes before anything can panic, so a panic elsewhere leaves no partial change.
    fn lock(&self) -> MutexGuard<'_, ConnectionTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionTable {
    fn is_full(&self, network: IpAddr, max: usize) -> bool {
        self.networks
            .get(&network)
            .is_some_and(|keys| keys.len() >= max)
    }

    fn close_idlest_of(&mut self, network: IpAddr) -> bool {
        let Some(keys) = self.networks.get(&network) else {
            return false;
        };
        let (before, after) = keys.split_at(self.cursor % keys.len());
        self.cursor = self.cursor.wrapping_add(COMPARED_MAX);
        let keys = after.iter().chain(before);
        close_idlest(keys.take(COMPARED_MAX).map(|key| &self.all[*key]))
    }
}

fn close_idlest<'a>(connections: impl Iterator<Item = &'a OpenConnection>) -> bool {
    let activities = connections.filter_map(|open| open.activity.as_ref());
    let idle = activities.filter_map(|activity| Some((activity.idle_since()?, activity)));
    match idle.min_by_key(|(since, _)| *since) {
        Some((_, activity)) => {
            activity.give_way();
            true
        }
        None => false,
    }
}

/// The network that counts as one address: with IPv6, one customer has a whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let prefix = v6.to_bits() & (!0 << 64);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
