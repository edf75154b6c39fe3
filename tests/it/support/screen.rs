//! What an app shows after the messages it got.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::follow_client::FollowClient;

#[derive(Debug, Default)]
pub(crate) struct Screen {
    pub(crate) offset: Option<u64>,
    pub(crate) position: Option<String>,
    pub(crate) totals: BTreeMap<String, Value>,
    /// The offsets of the entries that were shown since the last snapshot.
    pub(crate) entries: Vec<u64>,
    /// The types of all messages; a snapshot's type includes its reason.
    pub(crate) types: Vec<String>,
    /// The messages, unchanged.
    pub(crate) messages: Vec<String>,
    pub(crate) merged: u64,
}

impl Screen {
    /// # Panics
    /// If a message leaves a gap, repeats an entry or comes out of order.
    pub(crate) fn apply(&mut self, message: String) {
        let json: Value = serde_json::from_str(&message).unwrap();
        self.messages.push(message);
        let name = json["type"].as_str().unwrap();
        self.types.push(match json["reason"].as_str() {
            Some(reason) => format!("{name} {reason}"),
            None => name.to_owned(),
        });
        match name {
            "snapshot" => {
                self.offset = json["offset"].as_u64();
                self.entries = offsets(&json["recent"]);
                self.totals.clear();
            }
            "update" => {
                let next = self.offset.expect("a snapshot came before") + 1;
                assert_eq!(
                    json["from"].as_u64(),
                    Some(next),
                    "a gap or a repeat: {json}"
                );
                let entries = offsets(&json["entries"]);
                let merged = json["merged"].as_u64().unwrap_or(0);
                let to = json["to"].as_u64().unwrap();
                assert_eq!(entries.len() as u64 + merged, to + 1 - next);
                self.merged += merged;
                self.entries.extend(entries);
                self.offset = Some(to);
            }
            "live" | "rollover" => assert_eq!(json["offset"].as_u64(), self.offset),
            "closing" => return,
            other => panic!("{other} is new"),
        }
        for totals in json["totals"].as_array().into_iter().flatten() {
            let pair = format!("{} {}", totals["meter"], totals["unit"]);
            self.totals.insert(pair, totals.clone());
        }
        self.position = Some(json["position"].as_str().unwrap().to_owned());
    }

    /// Applies one message.
    pub(crate) async fn take(&mut self, client: &mut dyn FollowClient) -> &str {
        let message = client.next().await.expect("the connection ended");
        self.apply(message);
        self.types.last().unwrap()
    }

    /// Applies messages until it shows this offset.
    pub(crate) async fn reach(&mut self, client: &mut dyn FollowClient, offset: u64) {
        while self.offset != Some(offset) {
            self.take(client).await;
        }
    }

    /// Reads to the end: the last `closing` message.
    pub(crate) async fn closing(&mut self, client: &mut dyn FollowClient) -> Option<Value> {
        let mut closing = None;
        while let Some(message) = client.next().await {
            let json: Value = serde_json::from_str(&message).unwrap();
            if json["type"] == "closing" {
                closing = Some(json);
            }
            self.apply(message);
        }
        closing
    }
}

fn offsets(entries: &Value) -> Vec<u64> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|entry| entry["offset"].as_u64().unwrap())
        .collect()
}
