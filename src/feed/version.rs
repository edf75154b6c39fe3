use crate::domain::Position;

/// The state of a topic that a reader compares its own position with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Version {
    /// The account's last offset.
    pub(super) offset: u64,
    /// The account's profile revision.
    pub(super) revision: u32,
    /// How often the account was erased while it was followed.
    pub(super) erasures: u32,
}

impl Version {
    /// Whether a client at `position` is missing something.
    pub(super) fn is_ahead_of(&self, position: &Position) -> bool {
        self.offset > position.offset || self.revision > position.stamp.revision
    }
}
