use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Appended, Unavailable};
use crate::domain::{
    Account, CheckedEvent, Invalid, Profile, ProfileChange, Recount, StoredRevocation,
};

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
        /// The account's days in the new time zone, if they were counted beforehand.
        recount: Option<Recount>,
        answer: oneshot::Sender<Result<Result<Profile, Invalid>, Unavailable>>,
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

/// How many events of a commit's bound an edit of a profile takes.
const PROFILE_EVENTS: usize = 64;

impl Job {
    /// How much of a commit's bound it takes, in events.
    pub(super) fn events(&self) -> usize {
        match self {
            Self::Append { events, .. } => events.len(),
            Self::SetProfile { .. } => PROFILE_EVENTS,
            Self::Erase { .. } | Self::Revoke { .. } | Self::Close => 0,
        }
    }

    /// Whether it cannot share a commit with others.
    pub(super) fn is_alone(&self) -> bool {
        matches!(self, Self::Erase { .. } | Self::Revoke { .. })
    }
}
