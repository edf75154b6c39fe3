use std::net::SocketAddr;

/// The server under load.
#[derive(Debug, Clone)]
pub(crate) struct TargetServer {
    pub(super) address: SocketAddr,
    host: String,
    /// The prefix of its routes: empty, or `/prefix`.
    base: String,
}

impl TargetServer {
    pub(crate) fn new(address: SocketAddr, host: String, base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self {
            address,
            host,
            base,
        }
    }

    /// The start of an HTTP/1.1 request; the caller adds further headers and the empty line.
    pub(super) fn request(&self, method: &str, path: &str, token: &str) -> String {
        let Self { host, base, .. } = self;
        let mut head = format!("{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\n");
        if !token.is_empty() {
            head.push_str("Authorization: Bearer ");
            head.push_str(token);
            head.push_str("\r\n");
        }
        head
    }
}

impl From<SocketAddr> for TargetServer {
    fn from(address: SocketAddr) -> Self {
        Self::new(address, address.to_string(), "")
    }
}
