//! A client of the namespace `/feed`.

use serde_json::{Value, json};

use crate::support::engineio_client::Ws;

/// A client of the namespace.
pub(crate) struct FeedClient {
    pub(crate) ws: Ws,
    acks: u64,
}

impl FeedClient {
    /// Wraps a socket that has already joined.
    pub(crate) fn new(ws: Ws) -> Self {
        Self { ws, acks: 0 }
    }

    /// The next event's name and payload; the payload's `type` must equal the name.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        let packet = self.ws.packet().await;
        read_event(&packet)
    }

    /// The payload of the next event, which must have this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Value {
        let (got, payload) = self.event().await;
        assert_eq!(got, name, "{payload}");
        payload
    }

    /// Reads past snapshot or replay.
    pub(crate) async fn until_live(&mut self) -> Value {
        loop {
            let (name, payload) = self.event().await;
            if name == "live" {
                return payload;
            }
        }
    }

    /// Sends a request and returns its ack's number.
    pub(crate) async fn send(&mut self, name: &str, argument: &Value) -> u64 {
        self.acks += 1;
        let packet = format!("42/feed,{}{}", self.acks, json!([name, argument]));
        self.ws.send(packet).await;
        self.acks
    }

    /// Sends a request; returns the events before its ack, and the ack.
    pub(crate) async fn ask(&mut self, name: &str, argument: &Value) -> (Vec<Value>, Value) {
        let ack = self.send(name, argument).await;
        let mut before = Vec::new();
        loop {
            let packet = self.ws.packet().await;
            if let Some(answer) = packet.strip_prefix(&format!("43/feed,{ack}[")) {
                let answer = answer.strip_suffix(']').unwrap();
                return (before, serde_json::from_str(answer).unwrap());
            }
            before.push(read_event(&packet).1);
        }
    }
}

/// Name and payload of an event packet.
pub(crate) fn read_event(packet: &str) -> (String, Value) {
    let event = packet
        .strip_prefix("42/feed,")
        .unwrap_or_else(|| panic!("{packet}"));
    let (name, payload): (String, Value) = serde_json::from_str(event).unwrap();
    assert_eq!(payload["type"], name);
    (name, payload)
}
