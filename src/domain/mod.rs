//! What consumption *is*: events, amounts, entries, positions, totals. Pure: no I/O, no clock, no
//! randomness; the time and the random numbers it needs are passed in.

mod account;
mod amount;
mod checked_event;
mod entry;
mod event;
mod event_json;
mod invalid;
mod position;
mod profile;
mod state;
mod time;
mod totals;

pub use account::Account;
pub use amount::Amount;
pub use entry::StoredEntry;
pub use event::{Event, EventKey, Kind, Reverses};
pub use invalid::Invalid;
pub use position::{Epoch, Position, Stamp};
pub use profile::{Profile, ProfileChange, Zone};
pub use state::AccountState;

pub(crate) use amount::amount_text;
pub(crate) use checked_event::CheckedEvent;
pub(crate) use entry::{Entry, EntryHeader};
pub(crate) use event_json::{Attributes, from_object};
pub(crate) use state::{Happened, Original};
pub(crate) use time::EventTime;
pub(crate) use totals::{Pair, Totals};
