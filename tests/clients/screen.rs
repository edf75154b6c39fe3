//! What a customer sees after the messages so far, in an app that does no checks of its own.

use std::collections::BTreeMap;

use serde_json::Value;

/// An app's state after the messages so far.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The offset shown; none before the first snapshot.
    pub(crate) offset: Option<u64>,
    /// The stored position.
    pub(crate) position: String,
    /// The ids of the entries shown, in order.
    pub(crate) ids: Vec<String>,
    /// The budget, threshold and window of each alert shown, in order.
    pub(crate) alerts: Vec<(String, u64, String)>,
    /// The code of the last closing message.
    pub(crate) closing: Option<String>,
    /// The number of snapshots; each after the first means that the client lost its position.
    pub(crate) snapshots: usize,
    /// The totals by meter and unit, as received.
    pub(crate) totals: BTreeMap<(String, String), Value>,
}

impl Screen {
    /// Applies one message.
    ///
    /// # Panics
    /// If it leaves a gap, repeats an entry or comes out of order.
    pub(crate) fn apply(&mut self, message: &Value) {
        match message["type"].as_str().unwrap() {
            "snapshot" => self.replace(message),
            "update" => self.add(message),
            "live" => assert_eq!(message["offset"].as_u64(), self.offset, "live elsewhere"),
            "rollover" => self.show_totals(&message["totals"]),
            "closing" => self.closing = message["code"].as_str().map(str::to_owned),
            other => panic!("an unknown message: {other}"),
        }
        match message["position"].as_str() {
            Some(position) => position.clone_into(&mut self.position),
            None => assert_eq!(message["type"], "closing", "no position: {message}"),
        }
    }

    /// The start and amount of the only total's `day` or `month`.
    pub(crate) fn window(&self, period: &str) -> (&str, &str) {
        assert_eq!(self.totals.len(), 1);
        let window = &self.totals.values().next().unwrap()[period];
        let text = |field: &str| window[field].as_str().unwrap();
        (text("start"), text("amount"))
    }

    fn replace(&mut self, message: &Value) {
        self.snapshots += 1;
        self.offset = message["offset"].as_u64();
        self.ids.clear();
        self.alerts.clear();
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
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for entry in entries.as_array().unwrap() {
            self.ids.push(text(&entry["id"]));
            if entry["kind"] == "alert" {
                let threshold = entry["threshold"].as_u64().unwrap();
                let (budget, window) = (text(&entry["budget"]), text(&entry["window_start"]));
                self.alerts.push((budget, threshold, window));
            }
        }
    }

    fn show_totals(&mut self, totals: &Value) {
        for total in totals.as_array().into_iter().flatten() {
            let key = (total["meter"].to_string(), total["unit"].to_string());
            self.totals.insert(key, total.clone());
        }
    }
}
