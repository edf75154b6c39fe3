use std::net::SocketAddr;

/// The server under load.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(super) address: SocketAddr,
    host: String,
    /// What its routes are below: empty, or `/prefix`.
    base: String,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, host: String, base: &str) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        Self {
            address,
            host,
            base,
        }
    }

    /// The head of a request up to its own fields, as HTTP/1.1 has it.
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

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self::new(address, address.to_string(), "")
    }
}
