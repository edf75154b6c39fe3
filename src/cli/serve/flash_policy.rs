//! The Flash socket policy file, which Flash players request from a host before they open a socket to it.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// A player's whole request.
const REQUEST: &[u8] = b"<policy-file-request/>\0";
/// A longer request is not a player's.
const REQUEST_BYTES_MAX: usize = 64;
/// A player sends its request at once and reads one line, so a client that takes longer is not one.
const DEADLINE: Duration = Duration::from_secs(5);
/// Simultaneous connections; more wait in the kernel's backlog. Together with those of the admin listener, fewer than
/// the file descriptors that [`settings::limits`](crate::cli::settings::limits) reserves.
const CONNECTIONS_MAX: usize = 16;
/// The pause after a failed accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The policy file: pages of these origins, or all pages if there are none, may open sockets to this port.
pub(super) fn file(origins: &[String], port: u16) -> Vec<u8> {
    let mut domains: Vec<&str> = origins.iter().map(|origin| host(origin)).collect();
    if domains.is_empty() || domains.contains(&"*") {
        domains = vec!["*"];
    }
    domains.sort_unstable();
    domains.dedup();
    // An origin's host needs no escaping in XML: letters, digits and a few signs.
    let allowed: String = domains
        .iter()
        .map(|domain| format!("<allow-access-from domain=\"{domain}\" to-ports=\"{port}\"/>"))
        .collect();
    format!("<?xml version=\"1.0\"?><cross-domain-policy>{allowed}</cross-domain-policy>\0")
        .into_bytes()
}

/// The host of `scheme://host:port`; any other text is returned whole.
fn host(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    match authority.rsplit_once(':') {
        // A colon within an IPv6 address is not followed by a port.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// Serves the file to all clients. Dropping this future closes their connections.
pub(super) async fn serve(listener: TcpListener, file: Vec<u8>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    connections.spawn(serve_connection(tcp, file.clone()));
                }
                Err(_) => sleep(ACCEPT_BACKOFF).await,
            },
        }
    }
}

async fn serve_connection(tcp: TcpStream, file: Vec<u8>) {
    match timeout(DEADLINE, answer(tcp, &file)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "no Flash policy sent"),
        Err(_) => tracing::debug!("no Flash policy sent: the client timed out"),
    }
}

async fn answer(mut tcp: TcpStream, file: &[u8]) -> io::Result<()> {
    let mut request = [0; REQUEST_BYTES_MAX];
    let mut length = 0;
    while !request[..length].contains(&0) {
        match tcp.read(&mut request[length..]).await? {
            0 => return Ok(()),
            read => length += read,
        }
    }
    if request[..length] == *REQUEST {
        tcp.write_all(file).await?;
        tcp.shutdown().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_allowed_origins_are_the_domains() {
        let origins = [
            "https://app.example.com:8443",
            "http://app.example.com",
            "http://[::1]",
        ];
        let file = String::from_utf8(file(&origins.map(str::to_owned), 3000)).unwrap();
        let domains: Vec<&str> = file.split("domain=\"").skip(1).collect();
        assert!(
            domains[0].starts_with("[::1]\" to-ports=\"3000\""),
            "{file}"
        );
        assert!(domains[1].starts_with("app.example.com\""), "{file}");
        assert_eq!(domains.len(), 2);
    }

    #[test]
    fn all_origins_are_allowed_by_default_or_with_a_star() {
        for origins in [vec![], vec!["https://a.example".to_owned(), "*".to_owned()]] {
            let file = String::from_utf8(file(&origins, 443)).unwrap();
            assert_eq!(file.matches("domain=").count(), 1, "{file}");
            assert!(file.contains("domain=\"*\" to-ports=\"443\""), "{file}");
        }
    }
}
