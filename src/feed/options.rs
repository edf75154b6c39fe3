//! The options of followers and readers of history, and their checks.

/// The most recent entries that a snapshot may hold.
pub(super) const RECENT_MAX: usize = 100;

/// The recent entries of a snapshot by default.
pub(super) const RECENT_DEFAULT: usize = 20;

/// The most entries of one page of history.
pub(super) const HISTORY_MAX: usize = 200;

/// The entries of a page of history by default.
pub(super) const HISTORY_DEFAULT: usize = 50;

/// Where a subscription starts and what it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// The position that the client has stored, as it sent it; `None` starts with a snapshot.
    pub after: Option<String>,
    /// How many recent entries a snapshot has, at most 100; the default is 20.
    pub recent: usize,
    /// What the client gets when more than one update waits for it; the default is every entry.
    pub mode: Mode,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            after: None,
            recent: RECENT_DEFAULT,
            mode: Mode::Entries,
        }
    }
}

/// What a client gets when more than one update waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Mode {
    /// Every entry.
    #[default]
    Entries,
    /// The newest totals, with only the alerts, reversals and adjustments.
    Totals,
}

/// An option is not valid. The text says what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadOption(pub(crate) &'static str);

impl SubscribeOptions {
    /// Options as a client sent them. Absent fields get their defaults; a client that has stored no
    /// position yet may send an empty one.
    pub(crate) fn parse(
        after: Option<String>,
        mode: Option<&str>,
        recent: Option<u64>,
    ) -> Result<Self, BadOption> {
        let mode = match mode {
            None | Some("entries") => Mode::Entries,
            Some("totals") => Mode::Totals,
            Some(_) => return Err(BadOption("mode is entries or totals")),
        };
        Ok(Self {
            after: after.filter(|after| !after.is_empty()),
            recent: parse_recent(recent)?,
            mode,
        })
    }
}

/// How many recent entries a snapshot shows.
pub(crate) fn parse_recent(recent: Option<u64>) -> Result<usize, BadOption> {
    let bounds = 0..=RECENT_MAX;
    parse_count(recent, RECENT_DEFAULT, bounds).ok_or(BadOption("recent is 0 to 100 entries"))
}

/// How many entries a page of history holds.
pub(crate) fn parse_limit(limit: Option<u64>) -> Result<usize, BadOption> {
    let bounds = 1..=HISTORY_MAX;
    parse_count(limit, HISTORY_DEFAULT, bounds).ok_or(BadOption("limit is 1 to 200 entries"))
}

fn parse_count(
    count: Option<u64>,
    default: usize,
    bounds: std::ops::RangeInclusive<usize>,
) -> Option<usize> {
    let Some(count) = count else {
        return Some(default);
    };
    let count = usize::try_from(count).ok();
    count.filter(|count| bounds.contains(count))
}
