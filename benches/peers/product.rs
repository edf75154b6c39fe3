//! Tallycast as it is deployed: the binary, with events posted over HTTP.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::{
    control::{PREFIX, account},
    generator::{BenchError, Clients, HttpSource, TargetServer, WatchProtocol},
    machine,
    processors::Processors,
    server::Server,
};

/// Connections that post events: one for each burst that may be in flight.
const POSTERS: usize = 4;

/// Where a server stores its entries.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Storage {
    OnDisk,
    InMemory,
}

/// Makes the protocol of its watchers from a token.
pub(crate) type Follow = fn(String) -> WatchProtocol;

/// The binary with a ledger of its own, its watchers and its producer.
pub(crate) struct Product {
    pub(crate) server: Server,
    pub(crate) clients: Clients,
    pub(crate) source: HttpSource,
    /// Removed when this is dropped, after the server.
    _folder: TempDir,
}

impl Product {
    pub(crate) fn start(processors: Processors, storage: Storage) -> Result<Self, BenchError> {
        machine::warm_memory();
        let folder = tempfile::tempdir()?;
        let server = processors.start(|| match storage {
            Storage::OnDisk => Server::start(folder.path()),
            Storage::InMemory => Server::start_on(folder.path(), "memory"),
        });
        let address = server.url.strip_prefix("http://").unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let target = TargetServer::from(address);
        let source = HttpSource::new(&target, &server.token, PREFIX);
        let mut clients = Clients::new(target)?;
        clients.open_posters(POSTERS)?;
        Ok(Self {
            server,
            clients,
            source,
            _folder: folder,
        })
    }

    /// Opens a watcher of each of the accounts 0 to `accounts` − 1.
    pub(crate) fn watch(&mut self, protocol: Follow, accounts: u32) -> Result<(), BenchError> {
        let protocol = protocol(self.server.token.clone());
        self.clients.watch(protocol, (0..accounts).map(account))
    }
}
