use super::{frame, target_server::TargetServer};

/// A WebSocket handshake needs a key; no server checks that it is random.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Stands for the account in a path.
const ACCOUNT: &str = "{account}";

/// How a watcher follows an account.
#[derive(Debug, Clone)]
pub(crate) enum WatchProtocol {
    /// Socket.IO over a WebSocket. `namespace` is written as in a packet: empty, or `/feed,`.
    SocketIo {
        namespace: &'static str,
        token: String,
    },
    /// One message in each text frame. `{account}` in the path stands for the account.
    WebSocket { path: &'static str, token: String },
    /// One message in each event.
    Sse { path: &'static str, token: String },
}

impl WatchProtocol {
    /// Tallycast's feed over Socket.IO.
    pub(crate) fn feed_socket_io(token: String) -> Self {
        Self::SocketIo {
            namespace: "/feed,",
            token,
        }
    }

    /// Tallycast's feed over a plain WebSocket.
    pub(crate) fn feed_web_socket(token: String) -> Self {
        Self::WebSocket {
            path: "/v1/feeds/{account}/ws",
            token,
        }
    }

    /// Tallycast's feed over Server-Sent Events.
    pub(crate) fn feed_sse(token: String) -> Self {
        Self::Sse {
            path: "/v1/feeds/{account}/sse",
            token,
        }
    }

    /// The HTTP request that opens a watcher's connection.
    pub(super) fn request(&self, target: &TargetServer, account: &str) -> String {
        match self {
            // The token is in the packet that joins the namespace.
            Self::SocketIo { .. } => {
                upgrade(target.request("GET", "/socket.io/?EIO=4&transport=websocket", ""))
            }
            Self::WebSocket { path, token } => {
                upgrade(target.request("GET", &path.replace(ACCOUNT, account), token))
            }
            Self::Sse { path, token } => {
                target.request("GET", &path.replace(ACCOUNT, account), token) + "\r\n"
            }
        }
    }

    /// The start of the response if the server accepts the request.
    pub(super) fn accepted(&self) -> &'static [u8] {
        match self {
            Self::Sse { .. } => b"HTTP/1.1 200",
            _ => b"HTTP/1.1 101",
        }
    }

    /// Appends the Socket.IO packet that joins the namespace.
    pub(crate) fn write_connect(out: &mut Vec<u8>, namespace: &str, token: &str, account: &str) {
        let packet = match token {
            "" => format!(r#"40{namespace}{{"account":"{account}"}}"#),
            _ => format!(r#"40{namespace}{{"token":"{token}","account":"{account}"}}"#),
        };
        frame::write(out, frame::TEXT, packet.as_bytes());
    }
}

fn upgrade(head: String) -> String {
    head + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        + KEY
        + "\r\n\r\n"
}
