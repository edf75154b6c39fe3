use bytes::Bytes;
use reqwest::{Method, header};
use serde::Deserialize;

use super::{
    progress::ReplayProgress,
    row::RowEvent,
    server::{ReplayServer, SendError},
    tally::ItemResult,
};
use crate::cli::{answer::shown, table::RowLocation};

/// The most events per request: half of the server's limit, and durable in one commit.
const BATCH_EVENTS_MAX: usize = 500;
/// The most bytes per request: below the server's 4 MiB.
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Events that are sent in one request.
#[derive(Debug, Default)]
pub(super) struct ReplayBatch {
    locations: Vec<RowLocation>,
    /// NDJSON.
    body: String,
}

#[derive(Deserialize)]
struct BatchResponse {
    results: Vec<ItemResult>,
}

impl ReplayBatch {
    pub(super) fn push(&mut self, event: RowEvent) {
        self.locations.push(event.location);
        self.body.push_str(&event.json);
        self.body.push('\n');
    }

    pub(super) fn has_room_for(&self, event: &RowEvent) -> bool {
        self.locations.len() < BATCH_EVENTS_MAX
            && self.body.len() + event.json.len() < BATCH_BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.locations.is_empty()
    }

    /// Sends the events, and returns the result of each, in order. The batch is empty then.
    ///
    /// A batch without a response is sent again unchanged: events that were recorded count as duplicates then.
    pub(super) async fn send(
        &mut self,
        server: &ReplayServer,
        progress: &ReplayProgress,
    ) -> Result<Vec<(RowLocation, ItemResult)>, SendError> {
        let mut request = server.request(Method::POST, &["v1", "events"], "take the events");
        request.request = request
            .request
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(Bytes::from(std::mem::take(&mut self.body)));
        let locations = std::mem::take(&mut self.locations);
        let url = request.shown_url();
        let body = server.answer(request, None, progress).await?;
        let body = body.unwrap_or_default();
        match serde_json::from_slice(&body) {
            Ok(BatchResponse { results }) if results.len() == locations.len() => {
                Ok(locations.into_iter().zip(results).collect())
            }
            _ => Err(SendError::Refused {
                url,
                answer: format!("a response that is not Tallycast's: {}", shown(&body)),
            }),
        }
    }
}
