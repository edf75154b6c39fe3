use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::num::NonZeroU64;

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap};

use crate::serve::{TrustedProxies, network};

/// Who is counted: a keyed hash of an address, a subject or an account. The keys are random, so nobody can choose two
/// names with the same hash, and a table of them holds no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(NonZeroU64);

/// Where a request comes from. Parts are `None` where they are unknown or exempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Client {
    pub(super) address: Option<Key>,
    pub(super) connection: Option<Key>,
}

/// Makes keys, the same ones for the same names as long as the process lives.
#[derive(Debug, Default)]
pub(super) struct Keys(RandomState);

impl Keys {
    pub(super) fn of(&self, name: impl std::hash::Hash) -> Key {
        let hash = self.0.hash_one(name);
        Key(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN))
    }

    /// The client of a request with these extensions and headers.
    pub(super) fn client(
        &self,
        proxies: &TrustedProxies,
        extensions: &Extensions,
        headers: &HeaderMap,
    ) -> Client {
        let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Client::default();
        };
        let address = proxies.client(peer.ip(), headers);
        // A proxy's connection carries requests of many clients.
        let is_direct = !proxies.contains(peer.ip());
        Client {
            address: Some(self.of(network(address))),
            connection: is_direct.then(|| self.of(peer)),
        }
    }
}
