//! Third-party clients of the routes under `/v1/feeds`, driven by lines like the stock ones.

use std::path::Path;

use serde_json::json;
use tokio::process::Command;

use crate::{
    server::Server,
    stock::{StockClient, needs, node, run},
};

/// Which client it is, and what it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Follower {
    /// npm `ws` 8.
    Ws,
    /// npm `websocket`, that is WebSocket-Node.
    WebSocketNode,
    /// npm `eventsource`, with a header.
    EventSource,
    /// The same with a ticket, as in a browser.
    EventSourceWithTicket,
    /// npm `event-source-polyfill`, which reconnects with its last id in the address.
    EventSourcePolyfill,
    /// npm `reconnecting-eventsource`, which does so too.
    ReconnectingEventSource,
    /// Python's `websockets`.
    Websockets,
    /// Python's `httpx-sse`.
    HttpxSse,
    CurlSse,
    CurlStream,
    /// Repeated curl.
    CurlPolling,
}

impl Follower {
    /// Whether its connection stays open, with a `live` message.
    pub(crate) fn stays_open(self) -> bool {
        self != Self::CurlPolling
    }

    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::WebSocketNode | Self::Websockets)
    }

    /// Follows alice.
    pub(crate) async fn alice(self, server: &Server) -> StockClient {
        self.alice_by(&server.url, server).await
    }

    /// Follows alice by another address of the server.
    pub(crate) async fn alice_by(self, url: &str, server: &Server) -> StockClient {
        let pass = self.pass(server, "alice").await;
        self.start(url, Some(&pass), server.certificate().as_deref())
    }

    /// The credential with which `subject` may watch its account.
    pub(crate) async fn pass(self, server: &Server, subject: &str) -> String {
        match self {
            Self::EventSourceWithTicket => server.ticket(subject).await,
            _ => server.token(subject).await,
        }
    }

    /// Follows alice with this token or ticket, trusting this certificate.
    pub(crate) fn start(
        self,
        url: &str,
        pass: Option<&str>,
        certificate: Option<&Path>,
    ) -> StockClient {
        let url = format!("{url}/v1/feeds/alice");
        let mut command = match self {
            Self::Ws => node("ws.js", "ws"),
            Self::WebSocketNode => node("websocket.js", "websocket"),
            Self::EventSource | Self::EventSourceWithTicket => {
                node("eventsource.js", "eventsource")
            }
            Self::EventSourcePolyfill => node("event-source-polyfill.js", "event-source-polyfill"),
            Self::ReconnectingEventSource => {
                node("reconnecting-eventsource.js", "reconnecting-eventsource")
            }
            Self::Websockets => python("websockets"),
            Self::HttpxSse => python("httpx_sse"),
            Self::CurlSse => return StockClient::follow(curl("sse", &url, pass)),
            Self::CurlStream => return StockClient::follow(curl("stream", &url, pass)),
            Self::CurlPolling => return StockClient::follow(curl("poll", &url, pass)),
        };
        let mut spec = json!({ "url": url });
        let key = match self {
            Self::EventSourceWithTicket => "ticket",
            _ => "token",
        };
        if let Some(pass) = pass {
            spec[key] = json!(pass);
        }
        if let Some(certificate) = certificate {
            spec["ca"] = json!(certificate);
            // `fetch` has no option for it.
            command.env("NODE_EXTRA_CA_CERTS", certificate);
        }
        command.arg(spec.to_string());
        StockClient::follow(command)
    }
}

fn python(library: &str) -> Command {
    run(
        &needs("python/.venv/bin/python"),
        &["python/follow.py", library],
    )
}

fn curl(way: &str, url: &str, token: Option<&str>) -> Command {
    let mut command = run(&needs("sh/follow.sh"), &[way, url]);
    command.args(token);
    command
}
