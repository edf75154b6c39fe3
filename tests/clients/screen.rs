//! What a customer sees: the fold of the messages, by an app that checks nothing.

use std::collections::BTreeMap;

use serde_json::Value;

/// An app's state, after what it was sent.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The offset shown; no snapshot yet, none.
    pub(crate) offset: Option<u64>,
    /// The position kept.
    pub(crate) position: String,
    /// The ids of the entries shown, in order.
    pub(crate) ids: Vec<String>,
    /// How many snapshots came: each but the first is a client that lost its place.
    pub(crate) snapshots: usize,
    /// The totals by meter and unit, as they came.
    pub(crate) totals: BTreeMap<(String, String), Value>,
}

impl Screen {
    /// Applies one message.
    ///
    /// # Panics
    /// When it leaves a gap, repeats an entry or comes out of order.
    pub(crate) fn apply(&mut self, message: &Value) {
        match message["type"].as_str().unwrap() {
            "snapshot" => self.replace(message),
            "update" => self.add(message),
            "live" => assert_eq!(message["offset"].as_u64(), self.offset, "live elsewhere"),
            "rollover" => self.show_totals(&message["totals"]),
            other => panic!("an unknown message: {other}"),
        }
        message["position"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.position);
    }

    fn replace(&mut self, message: &Value) {
        self.snapshots += 1;
        self.offset = message["offset"].as_u64();
        self.ids.clear();
        self.totals.clear();
        self.show(&message["recent"]);
        self.show_totals(&message["totals"]);
    }

    fn add(&mut self, message: &Value) {
        let next = self.offset.expect("an update came before the snapshot") + 1;
        assert_eq!(message["from"], next, "a gap or a repeat: {message}");
        let entries = message["entries"].as_array().unwrap();
        let offsets: Vec<_> = entries
            .iter()
            .map(|entry| entry["offset"].as_u64().unwrap())
            .collect();
        let to = message["to"].as_u64().unwrap();
        assert_eq!(offsets, (next..=to).collect::<Vec<_>>());
        self.offset = Some(to);
        self.show(&message["entries"]);
        self.show_totals(&message["totals"]);
    }

    fn show(&mut self, entries: &Value) {
        let ids = entries.as_array().unwrap().iter();
        self.ids
            .extend(ids.map(|entry| entry["id"].as_str().unwrap().to_owned()));
    }

    fn show_totals(&mut self, totals: &Value) {
        for total in totals.as_array().into_iter().flatten() {
            let key = (total["meter"].to_string(), total["unit"].to_string());
            self.totals.insert(key, total.clone());
        }
    }
}
