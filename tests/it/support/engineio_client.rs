//! Engine.IO clients that show every packet: a polling session and a WebSocket.

use futures_util::{SinkExt, StreamExt};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Error, Message},
};

use crate::support::{SOON, attacked_server::assert_silent, host::Host};

/// What separates packets in a polling body.
pub(crate) const SEPARATOR: &str = "\u{1e}";

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

    /// The next frame of any kind.
    pub(crate) async fn frame(&mut self) -> Option<Result<Message, Error>> {
        let frame = timeout(SOON, self.stream.next()).await;
        let frame = frame.expect("a frame in time");
        if let Some(Ok(message)) = &frame {
            assert_silent(message.clone().into_data());
        }
        frame
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        match self.frame().await {
            Some(Ok(Message::Text(text))) => text.as_str().to_owned(),
            other => panic!("{other:?} is not text"),
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

    /// Joins a namespace; returns the answer.
    pub(crate) async fn join(&mut self, packet: &str) -> String {
        self.send(packet).await;
        self.packet().await
    }
}
