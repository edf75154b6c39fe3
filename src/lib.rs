//! **Every customer's running tally, cast live to their app.**
//!
//! Tallycast is a Socket.IO-compatible real-time server. Services report what a customer consumes;
//! Tallycast keeps it in a durable ledger and pushes it, as it happens, to the customer's app. What the
//! screen shows equals the ledger: nothing lost, nothing counted twice, in order.
//!
//! # The map
//!
//! - An [`Event`] is what a producer reports about an [`Account`]: an exact [`Amount`] of something.
//! - A [`Ledger`] keeps it as an entry for ever: [`Sqlite`] on disk, [`Memory`] for trying things out.
//! - A [`Budget`] in an account's [`Profile`] has thresholds, which become entries when they are reached.
//! - A [`Feed`] is the waist: append to it, read from it, subscribe to it. It answers a [`Receipt`].
//! - A [`Subscription`] is one reader with a [`Position`] of its own; it yields [`Message`]s.
//! - [`Authorize`] says who may do what, as a [`Grant`]; [`Jwt`] reads it from signed tokens.
//! - A [`Hub`] wires all of it, HTTP and Socket.IO, into one [`axum::Router`].
//! - [`serve()`] is an accept loop with the [`Limits`] that the internet asks for.
//!
//! ```
//! use tallycast::{Event, Hub, Jwt, Memory};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = b"a secret of at least thirty-two bytes";
//! let hub = Hub::builder(Memory::new()).access(Jwt::hs256(secret)?).build().await?;
//! let app: axum::Router = axum::Router::new().merge(hub.router());
//!
//! let receipt = hub.feed().append(Event::consumption("order-1", "alice", "12.50", "CNY")).await?;
//! assert_eq!(receipt.total.to_string(), "12.50");
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! Longer reading: the module `docs`, with the concepts, the protocol, embedding and the architecture.

mod access;
mod api;
mod domain;
mod feed;
mod hub;
mod ledger;
#[cfg(feature = "schema")]
mod schema;
mod serve;
mod transport;

pub use access::{
    Accounts, Authorize, Authorizing, Denied, Grant, Jwt, KeyError, Origins, Scope, Scopes, Signer,
};
pub use domain::{
    Account, AccountState, Amount, Budget, DayTotals, Epoch, Event, EventKey, Invalid, Kind,
    PastTotals, Period, Position, Profile, ProfileChange, Reverses, Stamp, StoredEntry, Sums, Zone,
};
pub use feed::{
    AppendError, Clock, ClockHand, Feed, History, Interrupted, Message, MessageKind, Mode, Outcome,
    Reason, Receipt, Status, SubscribeOptions, Subscription,
};
pub use hub::{BuildError, Hub, HubBuilder};
pub use ledger::{
    AccountView, ChangedState, Commit, CommitError, DayRange, DaysView, EntryRange, HappenedEntry,
    Ledger, LedgerError, LedgerReader, LedgerWriter, Memory, NewEntry, RecordedEvent, Sqlite,
    Unavailable,
};
#[cfg(feature = "schema")]
pub use schema::contract;
pub use serve::{Connection, Limits, Serve, Slot, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};
pub use transport::{Push, PushTo, Pushed};

/// Long explanations, whose examples are tested.
#[cfg(any(doc, doctest))]
pub mod docs {
    #[doc = include_str!("../docs/architecture.md")]
    pub mod architecture {}

    #[doc = include_str!("../docs/concepts.md")]
    pub mod concepts {}

    #[doc = include_str!("../docs/embedding.md")]
    pub mod embedding {}

    #[doc = include_str!("../docs/protocol.md")]
    pub mod protocol {}
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
