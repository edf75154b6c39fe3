//! A hub served on a port of its own.

use std::{
    future::IntoFuture,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::{Router, serve::Listener};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tallycast::{Hub, Limits, serve};
use tokio::{net::TcpListener, task::AbortHandle, time::timeout};
use tokio_tungstenite::{connect_async, tungstenite::Error};

use crate::support::{
    SOON,
    engineio_client::{Polling, Ws},
};

/// A hub that is served.
pub(crate) struct Host {
    pub(crate) hub: Hub,
    pub(crate) address: SocketAddr,
    pub(crate) prefix: &'static str,
    client: reqwest::Client,
    task: AbortHandle,
}

impl Host {
    /// Serves the hub at the root, by our own accept loop.
    pub(crate) async fn start(hub: Hub) -> Self {
        let router = hub.router();
        Self::start_router(hub, router).await
    }

    /// Serves a router that embeds the hub, by our own accept loop.
    pub(crate) async fn start_router(hub: Hub, router: Router) -> Self {
        let limits = Limits {
            connections_per_peer_max: Some(10_000),
            ..Limits::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, router, limits).into_future());
        Self {
            hub,
            address,
            prefix: "",
            client: reqwest::Client::new(),
            task: task.abort_handle(),
        }
    }

    /// Serves a router that embeds the hub, by axum's accept loop.
    pub(crate) async fn embed(hub: Hub, router: Router, prefix: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::embed_on(listener, hub, router, prefix)
    }

    /// The same, on a listener of any kind.
    pub(crate) fn embed_on<L>(listener: L, hub: Hub, router: Router, prefix: &'static str) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            hub,
            address,
            prefix,
            client: reqwest::Client::new(),
            task: task.abort_handle(),
        }
    }

    pub(crate) fn url(&self, query: &str) -> String {
        format!("http://{}{}/socket.io/?{query}", self.address, self.prefix)
    }

    pub(crate) async fn get(&self, query: &str) -> Response {
        timeout(SOON, self.client.get(self.url(query)).send())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn post(&self, query: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.client.post(self.url(query)).body(body);
        timeout(SOON, request.send()).await.unwrap().unwrap()
    }

    pub(crate) fn request(&self, method: reqwest::Method, query: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(query)).timeout(SOON)
    }

    /// Opens a polling session.
    pub(crate) async fn poll(&self) -> Polling<'_> {
        let opened = self.get("EIO=4&transport=polling").await;
        assert_eq!(opened.status(), StatusCode::OK);
        let open = opened.text().await.unwrap();
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let sid = open["sid"].as_str().unwrap().to_owned();
        Polling {
            host: self,
            sid,
            open,
        }
    }

    /// Opens a WebSocket with this query and returns before any frame.
    pub(crate) async fn try_ws(&self, query: &str) -> Result<Ws, Error> {
        let url = self.url(query).replace("http://", "ws://");
        let (stream, _) = timeout(SOON, connect_async(url)).await.unwrap()?;
        Ok(Ws { stream })
    }

    /// Opens a WebSocket session, past its open packet.
    pub(crate) async fn ws(&self) -> Ws {
        let mut ws = self.try_ws("EIO=4&transport=websocket").await.unwrap();
        assert!(ws.text().await.starts_with("0{"));
        ws
    }

    /// Drains the hub, which waits until no task is left.
    pub(crate) async fn until_no_task(&self) {
        let drain = self.hub.drain(Duration::from_secs(60));
        timeout(SOON, drain).await.expect("no task is left");
    }

    /// Waits until no session is left.
    pub(crate) async fn until_empty(&self) {
        self.until_sessions(0).await;
    }

    pub(crate) async fn until_sessions(&self, count: usize) {
        let reached = async {
            while self.hub.sessions() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let left = || format!("{} sessions, not {count}", self.hub.sessions());
        timeout(SOON, reached)
            .await
            .unwrap_or_else(|_| panic!("{}", left()));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client of this address, each of whose requests has a connection of its own.
pub(crate) fn client_from(address: &str) -> reqwest::Client {
    let address: IpAddr = address.parse().unwrap();
    let client = reqwest::Client::builder()
        .local_address(address)
        .timeout(SOON);
    client.pool_max_idle_per_host(0).build().unwrap()
}
