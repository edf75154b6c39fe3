use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::progress::ExportProgress;
use crate::cli::{
    backoff::Backoff,
    remote_feed::{RemoteFeed, RequestError},
};

/// Entries per page: the server's maximum.
const PAGE_ENTRIES: &str = "200";

/// Reads an account's entries page by page, oldest first, and checks that they belong to one history.
pub(super) struct ExportPages {
    remote: RemoteFeed,
    attempts: u32,
    epoch: Option<String>,
    /// The offset of the last entry that was read, which is also the number of entries read.
    entries: u64,
}

/// Some entries, and whether more follow.
#[derive(Deserialize)]
pub(super) struct ExportPage {
    epoch: String,
    entries: Vec<Box<RawValue>>,
    next: Option<u64>,
}

/// Why there is no next page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PagesError {
    #[error("{0}")]
    Refused(String),
    #[error("gave up at attempt {attempts}: {why}. Export again once the server is back")]
    GaveUp { attempts: u32, why: String },
    #[error("the ledger was restored or copied during the export: export again")]
    OtherEpoch,
    #[error("entry {0} is not there any more, the history changed: export again")]
    Gap(u64),
}

impl ExportPage {
    /// The entries' JSON, byte for byte as the server sent it.
    pub(super) fn entries(&self) -> &[Box<RawValue>] {
        &self.entries
    }

    pub(super) fn is_last(&self) -> bool {
        self.next.is_none()
    }
}

impl ExportPages {
    /// `attempts`: how often in a row a page is requested.
    pub(super) fn new(remote: RemoteFeed, attempts: u32) -> Self {
        Self {
            remote,
            attempts,
            epoch: None,
            entries: 0,
        }
    }

    /// The number of entries read so far.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// The next page. Retries temporary errors.
    pub(super) async fn next(
        &mut self,
        progress: &ExportProgress,
    ) -> Result<ExportPage, PagesError> {
        let mut backoff = Backoff::default();
        loop {
            let (why, pause) = match self.fetch().await {
                Ok(page) => return self.checked(page),
                Err(RequestError::Permanent(why)) => return Err(PagesError::Refused(why)),
                Err(RequestError::Temporary { why, pause }) => (why, pause),
            };
            match backoff.failed() {
                attempts if attempts >= self.attempts => {
                    return Err(PagesError::GaveUp { attempts, why });
                }
                1 => progress.note(&format!("{why}; retrying")),
                _ => {}
            }
            backoff.wait(pause).await;
        }
    }

    async fn fetch(&self) -> Result<ExportPage, RequestError> {
        let body = self.remote.get(self.url()).await?.unwrap_or_default();
        serde_json::from_slice(&body).map_err(|error| {
            RequestError::Permanent(format!("the response is not a page of entries: {error}"))
        })
    }

    fn url(&self) -> Url {
        let mut url = self.remote.entries_url();
        url.query_pairs_mut()
            .append_pair("after", &self.entries.to_string())
            .append_pair("limit", PAGE_ENTRIES);
        url
    }

    /// Returns the page if it continues where the last one ended.
    fn checked(&mut self, page: ExportPage) -> Result<ExportPage, PagesError> {
        let epoch = self.epoch.get_or_insert_with(|| page.epoch.clone());
        if *epoch != page.epoch {
            return Err(PagesError::OtherEpoch);
        }
        // The page before said that there are more entries.
        if page.entries.is_empty() && self.entries > 0 {
            return Err(PagesError::Gap(self.entries + 1));
        }
        for entry in &page.entries {
            let expected = self.entries + 1;
            if offset(entry) != Some(expected) {
                return Err(PagesError::Gap(expected));
            }
            self.entries = expected;
        }
        Ok(page)
    }
}

fn offset(entry: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    struct EntryOffset {
        offset: u64,
    }
    let entry: EntryOffset = serde_json::from_str(entry.get()).ok()?;
    Some(entry.offset)
}
