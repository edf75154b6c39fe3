//! A Socket.IO-compatible real-time server that pushes each customer's live consumption to their app.

mod access;
mod api;
mod domain;
mod feed;
mod hub;
mod ledger;
mod serve;
mod transport;

pub use access::{
    Accounts, Authorize, Authorizing, Denied, Grant, Jwt, KeyError, Origins, Scope, Scopes, Signer,
};
pub use domain::{
    Account, AccountState, Amount, Epoch, Event, EventKey, Invalid, Kind, Position, Profile,
    ProfileChange, Reverses, Stamp, StoredEntry, Zone,
};
pub use feed::{
    AppendError, Feed, History, Message, MessageKind, Mode, Outcome, Reason, Receipt, Status,
    SubscribeOptions, Subscription,
};
pub use hub::{BuildError, Hub, HubBuilder};
pub use ledger::{
    Commit, CommitError, Entries, HappenedEntry, Ledger, LedgerError, LedgerReader, LedgerWriter,
    Memory, NewEntry, RecordedEvent, Sqlite, Unavailable, View,
};
pub use serve::{Connection, Limits, Serve, Slot, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};
