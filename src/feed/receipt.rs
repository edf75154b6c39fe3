use serde::{Serialize, Serializer};

use crate::{
    domain::{Amount, Epoch, Invalid, Position},
    ledger::{Appended, Placed},
};

/// The proof that an event is in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Receipt {
    /// Whether this call recorded it, or an earlier one.
    pub status: Status,
    /// The entry's place in its account.
    pub offset: u64,
    /// The position of a client that has applied it.
    pub position: Position,
    /// The all-time total of its meter and unit after it.
    pub total: Amount,
}

/// Whether an event was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "ReceiptStatus")
)]
#[non_exhaustive]
pub enum Status {
    /// It was, and is durable now.
    Recorded,
    /// It was recorded before, with the same content.
    Duplicate,
}

/// What became of one event of several.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(untagged))]
#[non_exhaustive]
pub enum Outcome {
    /// It is durable.
    Recorded(Receipt),
    /// It was recorded before; the answer is the first one.
    #[cfg_attr(feature = "schema", schemars(skip))]
    Duplicate(Receipt),
    /// Its source and id were recorded before with other content; nothing changed.
    #[cfg_attr(feature = "schema", schemars(with = "RefusedEvent<'static>"))]
    Conflict(Invalid),
    /// It is not sound, or does not fit its account; nothing changed.
    #[cfg_attr(feature = "schema", schemars(skip))]
    Rejected(Invalid),
}

impl Receipt {
    fn new(status: Status, epoch: Epoch, placed: &Placed) -> Self {
        Self {
            status,
            offset: placed.offset,
            position: Position {
                epoch,
                tag: Position::tag_of(epoch, &placed.account, placed.generation),
                offset: placed.offset,
                stamp: placed.stamp,
                totals_due: false,
            },
            total: placed.total,
        }
    }
}

/// An event of a batch that was not recorded.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct RefusedEvent<'a> {
    /// `conflict`: its source and id were recorded before with other content.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["conflict", "rejected"])))]
    status: &'a str,
    /// Stable, for programs.
    code: &'a str,
    /// What to do about it, for people.
    message: &'a str,
}

impl Outcome {
    pub(super) fn new(appended: Appended, epoch: Epoch) -> Self {
        match appended {
            Appended::Recorded(placed) => {
                Self::Recorded(Receipt::new(Status::Recorded, epoch, &placed))
            }
            Appended::Duplicate(placed) => {
                Self::Duplicate(Receipt::new(Status::Duplicate, epoch, &placed))
            }
            Appended::Conflict(invalid) => Self::Conflict(invalid),
            Appended::Rejected(invalid) => Self::Rejected(invalid),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (status, invalid) = match self {
            Self::Recorded(receipt) | Self::Duplicate(receipt) => {
                return receipt.serialize(serializer);
            }
            Self::Conflict(invalid) => ("conflict", invalid),
            Self::Rejected(invalid) => ("rejected", invalid),
        };
        let refused = RefusedEvent {
            status,
            code: invalid.code(),
            message: invalid.message(),
        };
        refused.serialize(serializer)
    }
}
