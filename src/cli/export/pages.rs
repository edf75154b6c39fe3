use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::progress::Progress;
use crate::cli::{
    backoff::Backoff,
    remote::{Remote, Trouble},
};

/// How many entries to ask for at once: the most that a server gives.
const PAGE_ENTRIES: &str = "200";

/// An account's entries page by page, oldest first, all of one history.
pub(super) struct Pages {
    remote: Remote,
    attempts: u32,
    epoch: Option<String>,
    /// The offset of the last entry that was read, which is also how many these are.
    entries: u64,
}

/// Some entries, and whether more follow.
#[derive(Deserialize)]
pub(super) struct Page {
    epoch: String,
    entries: Vec<Box<RawValue>>,
    next: Option<u64>,
}

/// Why there is no next page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PagesError {
    #[error("{0}")]
    Refused(String),
    #[error("gave up at attempt {attempts}: {why}. Export again when the server is back")]
    GaveUp { attempts: u32, why: String },
    #[error("the ledger was restored or copied meanwhile: export again")]
    OtherEpoch,
    #[error("entry {0} is not there any more, the history changed meanwhile: export again")]
    Gap(u64),
}

impl Page {
    /// Their JSON, byte by byte as the server gave it.
    pub(super) fn entries(&self) -> &[Box<RawValue>] {
        &self.entries
    }

    pub(super) fn is_last(&self) -> bool {
        self.next.is_none()
    }
}

impl Pages {
    /// `attempts`: how often in a row a page is asked for.
    pub(super) fn new(remote: Remote, attempts: u32) -> Self {
        Self {
            remote,
            attempts,
            epoch: None,
            entries: 0,
        }
    }

    /// How many entries were read.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// The following page, which is asked for again while the trouble is a passing one.
    pub(super) async fn next(&mut self, progress: &Progress) -> Result<Page, PagesError> {
        let mut backoff = Backoff::default();
        loop {
            let (why, pause) = match self.ask().await {
                Ok(page) => return self.checked(page),
                Err(Trouble::Final(why)) => return Err(PagesError::Refused(why)),
                Err(Trouble::Passing { why, pause }) => (why, pause),
            };
            match backoff.failed() {
                attempts if attempts >= self.attempts => {
                    return Err(PagesError::GaveUp { attempts, why });
                }
                1 => progress.note(&format!("{why}; trying on")),
                _ => {}
            }
            backoff.wait(pause).await;
        }
    }

    async fn ask(&self) -> Result<Page, Trouble> {
        let response = self.remote.get(self.url()).await?;
        let body = response.bytes().await?;
        serde_json::from_slice(&body)
            .map_err(|error| Trouble::Final(format!("the answer is no page of entries: {error}")))
    }

    fn url(&self) -> Url {
        let mut url = self.remote.entries_url();
        url.query_pairs_mut()
            .append_pair("after", &self.entries.to_string())
            .append_pair("limit", PAGE_ENTRIES);
        url
    }

    /// The page, if it goes on where the last one ended.
    fn checked(&mut self, page: Page) -> Result<Page, PagesError> {
        let epoch = self.epoch.get_or_insert_with(|| page.epoch.clone());
        if *epoch != page.epoch {
            return Err(PagesError::OtherEpoch);
        }
        // It was asked for because the page before said that there is more.
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
    struct Place {
        offset: u64,
    }
    let place: Place = serde_json::from_str(entry.get()).ok()?;
    Some(place.offset)
}
