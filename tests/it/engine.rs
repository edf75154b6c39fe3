//! A hub on a port of its own, and an Engine.IO client that shows every packet.

use std::{future::IntoFuture, net::SocketAddr, time::Duration};

use axum::{Router, serve::Listener};
use futures_util::{SinkExt, StreamExt};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tallycast::{Hub, Limits, serve};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

/// A bound for what would hang if it were broken; nothing waits for it otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// What separates packets in a polling body.
pub(crate) const SEPARATOR: &str = "\u{1e}";

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

    /// Serves whatever a host has made of it, by our own accept loop.
    pub(crate) async fn start_router(hub: Hub, router: Router) -> Self {
        let limits = Limits {
            connections_per_peer_max: 10_000,
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

    /// Serves whatever a host has made of it, by axum's accept loop.
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

/// A polling session.
pub(crate) struct Polling<'a> {
    pub(crate) host: &'a Host,
    pub(crate) sid: String,
    pub(crate) open: Value,
}

impl Polling<'_> {
    pub(crate) fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    pub(crate) async fn get(&self) -> Response {
        self.host.get(&self.query()).await
    }

    /// The next body.
    pub(crate) async fn receive(&self) -> String {
        let response = self.get().await;
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>) -> Response {
        self.host.post(&self.query(), body).await
    }

    pub(crate) async fn send(&self, body: &str) {
        let response = self.post(body.to_owned()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.text().await.unwrap(), "ok");
    }

    pub(crate) async fn upgrade(&self) -> Result<Ws, Error> {
        self.host
            .try_ws(&format!("EIO=4&transport=websocket&sid={}", self.sid))
            .await
    }
}

/// A WebSocket.
pub(crate) struct Ws {
    pub(crate) stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Ws {
    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        self.stream.send(Message::text(text.into())).await.unwrap();
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.stream
            .send(Message::binary(bytes.to_vec()))
            .await
            .unwrap();
    }

    /// The next frame, whatever it is.
    pub(crate) async fn frame(&mut self) -> Option<Result<Message, Error>> {
        timeout(SOON, self.stream.next())
            .await
            .expect("a frame in time")
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        match self.frame().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?} is no text"),
        }
    }

    /// The next text that is not a ping; pings are answered.
    pub(crate) async fn packet(&mut self) -> String {
        loop {
            let text = self.text().await;
            if text != "2" {
                return text;
            }
            self.send("3").await;
        }
    }

    pub(crate) async fn binary(&mut self) -> Vec<u8> {
        match self.frame().await {
            Some(Ok(Message::Binary(bytes))) => bytes.to_vec(),
            other => panic!("{other:?} is not binary"),
        }
    }

    /// Reads to the end: the close code, if a close frame came.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.frame().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// Joins a namespace: its answer.
    pub(crate) async fn join(&mut self, packet: &str) -> String {
        self.send(packet).await;
        self.packet().await
    }
}
