use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Appended, ProfileEdit, Unavailable};
use crate::domain::{Account, CheckedEvent, ProfileChange, Recount, StoredRevocation};

/// A job for the writer.
pub(crate) enum Job {
    /// Record these events, in order.
    Append {
        events: Vec<CheckedEvent>,
        answer: oneshot::Sender<Result<Vec<Appended>, Unavailable>>,
        /// The events' share of the queue's bound in bytes, held until the job is done.
        room: OwnedSemaphorePermit,
    },
    /// Edit a profile.
    SetProfile {
        account: Account,
        change: ProfileChange,
        /// The account's days in the new time zone, if they were counted.
        recount: Option<Recount>,
        /// The edit's share of the bound of such edits, held until the job is done.
        turn: Option<Arc<OwnedSemaphorePermit>>,
        answer: oneshot::Sender<Result<ProfileEdit, Unavailable>>,
    },
    /// Remove an account, in a commit of its own.
    Erase {
        account: Account,
        answer: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Store a revocation, in a commit of its own.
    Revoke {
        revocation: StoredRevocation,
        answer: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Ignore later jobs, and close the storage.
    Close,
}

/// How many events of a commit's bound an edit of a profile takes; one to another time zone takes another for each of
/// the account's past days.
const PROFILE_EVENTS: usize = 64;

impl Job {
    /// How much of a commit's bound it takes, in events.
    pub(super) fn events(&self) -> usize {
        match self {
            Self::Append { events, .. } => events.len(),
            Self::SetProfile { recount, .. } => {
                PROFILE_EVENTS + recount.as_ref().map_or(0, Recount::days)
            }
            Self::Erase { .. } | Self::Revoke { .. } | Self::Close => 0,
        }
    }

    /// Whether it cannot share a commit with others.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Erase { .. } | Self::Revoke { .. })
    }
}
