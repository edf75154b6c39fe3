//! Tallycast as people run it: the binary, with events posted over HTTP.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::{
    control::{PREFIX, account},
    generator::{Fault, Fleet, Posts, Target, Way},
    machine,
    processors::Processors,
    server::Server,
};

/// Connections that post: as many as bursts may be on their way.
const POSTERS: usize = 4;

/// Where a server keeps its entries.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Keeps {
    OnDisk,
    InMemory,
}

/// How its watchers follow, given a token.
pub(crate) type Follow = fn(String) -> Way;

/// The binary with a ledger of its own, its watchers and its producer.
pub(crate) struct Product {
    pub(crate) server: Server,
    pub(crate) fleet: Fleet,
    pub(crate) posts: Posts,
    /// Removed when this is dropped, after the server.
    _folder: TempDir,
}

impl Product {
    pub(crate) fn start(processors: Processors, keeps: Keeps) -> Result<Self, Fault> {
        machine::warm_memory();
        let folder = tempfile::tempdir()?;
        let server = processors.start(|| match keeps {
            Keeps::OnDisk => Server::start(folder.path()),
            Keeps::InMemory => Server::start_on(folder.path(), "memory"),
        });
        let address = server.url.strip_prefix("http://").unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let target = Target::from(address);
        let posts = Posts::new(&target, &server.token, PREFIX);
        let mut fleet = Fleet::new(target)?;
        fleet.open_posters(POSTERS)?;
        Ok(Self {
            server,
            fleet,
            posts,
            _folder: folder,
        })
    }

    /// A watcher of each of the accounts 0 to `accounts` − 1.
    pub(crate) fn watch(&mut self, way: Follow, accounts: u32) -> Result<(), Fault> {
        let way = way(self.server.token.clone());
        self.fleet.watch(way, (0..accounts).map(account))
    }
}
