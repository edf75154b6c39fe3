//! The Flash socket policy file: what Flash players asked a host for before they opened a socket to it.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

/// What a player sends, whole.
const REQUEST: &[u8] = b"<policy-file-request/>\0";
/// More than that no request has (bytes).
const REQUEST_BYTES_MAX: usize = 64;
/// A player asks at once, and reads a line: whoever takes longer is none.
const DEADLINE: Duration = Duration::from_secs(5);
/// At once; more wait in the kernel's backlog. With the second listener's, fewer than the descriptors that
/// [`settings::limits`](crate::cli::settings::limits) keeps back from the public one.
const CONNECTIONS_MAX: usize = 16;
/// Between two attempts to accept when there are no resources for it.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The file: pages of these origins, or all if there is no list, may open sockets to this port.
pub(super) fn file(origins: &[String], port: u16) -> Vec<u8> {
    let mut domains: Vec<&str> = origins.iter().map(|origin| host(origin)).collect();
    if domains.is_empty() || domains.contains(&"*") {
        domains = vec!["*"];
    }
    domains.sort_unstable();
    domains.dedup();
    // Hosts of origins are letters, digits and a few signs that XML leaves alone.
    let allowed: String = domains
        .iter()
        .map(|domain| format!("<allow-access-from domain=\"{domain}\" to-ports=\"{port}\"/>"))
        .collect();
    format!("<?xml version=\"1.0\"?><cross-domain-policy>{allowed}</cross-domain-policy>\0")
        .into_bytes()
}

/// The host of `scheme://host:port`, or all of what is no origin.
fn host(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    match authority.rsplit_once(':') {
        // Not the colons within an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    }
}

/// Answers whoever asks for the file. Dropped, it cuts all that are connected.
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
                    connections.spawn(attend(tcp, file.clone()));
                }
                Err(_) => sleep(ACCEPT_BACKOFF).await,
            },
        }
    }
}

async fn attend(tcp: TcpStream, file: Vec<u8>) {
    match timeout(DEADLINE, answer(tcp, &file)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "no Flash policy sent"),
        Err(_) => tracing::debug!("no Flash policy sent: its client took too long"),
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
    fn all_may_where_there_is_no_list_or_a_star() {
        for origins in [vec![], vec!["https://a.example".to_owned(), "*".to_owned()]] {
            let file = String::from_utf8(file(&origins, 443)).unwrap();
            assert_eq!(file.matches("domain=").count(), 1, "{file}");
            assert!(file.contains("domain=\"*\" to-ports=\"443\""), "{file}");
        }
    }
}
