//! The open file descriptors of this process, on Linux.

use std::{collections::HashSet, fs, net::SocketAddr, path::PathBuf};

use tokio::time::timeout;

use crate::support::SOON;

/// The targets of all open descriptors.
fn open_files() -> HashSet<PathBuf> {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    // A descriptor may be closed after the folder was read.
    let behind = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    behind.collect()
}

/// The descriptors of the server's connections; the process has others, of clients and of other tests.
pub(crate) fn connections(server: SocketAddr) -> HashSet<PathBuf> {
    const LISTENS: &str = "0A";
    let port = format!(":{:04X}", server.port());
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let servers = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_servers = fields[1].ends_with(&port) && fields[3] != LISTENS;
        is_servers.then(|| format!("socket:[{}]", fields[9]).into())
    });
    let servers: HashSet<PathBuf> = servers.collect();
    servers.intersection(&open_files()).cloned().collect()
}

/// Waits until these are closed. It goes by descriptor: the kernel's table drops a reset connection while its
/// descriptor is still open.
pub(crate) async fn until_closed(connections: HashSet<PathBuf>) {
    let closed = async {
        while !connections.is_disjoint(&open_files()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, closed)
        .await
        .expect("every descriptor is closed");
}
