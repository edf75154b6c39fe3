use serde::{Deserialize, Serialize};

/// What an event does to the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Something was consumed: amount ≥ 0.
    Consumption,
    /// A correction by hand: any sign, with a description.
    Adjustment,
    /// The exact opposite of an earlier event.
    Reversal,
    /// A budget's threshold was reached. Only the ledger writes alerts, and totals ignore them.
    Alert,
}

impl Kind {
    /// Its name in JSON. Fingerprints include it, so it must never change.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consumption => "consumption",
            Self::Adjustment => "adjustment",
            Self::Reversal => "reversal",
            Self::Alert => "alert",
        }
    }
}
