use std::time::Duration;

use crate::domain::Invalid;

/// A quota is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMany {
    /// By the client, which may come back after this time.
    OfClient(Duration),
    /// By all clients together.
    OfAll,
}

/// When to come back after a refusal because of all clients: a body takes about so long.
const BUSY_SECONDS: u64 = 2;

impl TooMany {
    /// The client holds too much. When it lets go is up to the client.
    pub(super) const HELD: Self = Self::OfClient(Duration::from_secs(5));
}

impl TooMany {
    /// `Retry-After`.
    pub(crate) fn retry_after_seconds(self) -> u64 {
        match self {
            Self::OfClient(wait) => wait.as_secs() + 1,
            Self::OfAll => BUSY_SECONDS,
        }
    }
}

impl From<TooMany> for Invalid {
    fn from(too_many: TooMany) -> Self {
        match too_many {
            TooMany::OfClient(_) => Self::new(
                "too_many_requests",
                format!(
                    "too many at a time: try again in {} s",
                    too_many.retry_after_seconds()
                ),
            ),
            TooMany::OfAll => Self::new("busy", "the server is busy: try again in a few seconds"),
        }
    }
}
