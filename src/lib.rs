//! A Socket.IO-compatible real-time server that pushes each customer's live consumption to their app.

mod domain;
mod ledger;
mod transport;

pub use domain::{
    Account, AccountState, Amount, CheckedEvent, Entry, Epoch, Event, EventKey, Invalid, Kind, Original,
    Position, Profile, ProfileChange, Reverses, Stamp, StoredEntry, Totals, Zone,
};
