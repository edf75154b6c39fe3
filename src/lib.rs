//! **Every customer's running tally, cast live to their app.**
//!
//! Tallycast is a Socket.IO-compatible real-time server. Services report what a customer consumes;
//! Tallycast keeps it in a durable ledger and pushes it, as it happens, to the customer's app. What the
//! screen shows equals the ledger: nothing lost, nothing counted twice, in order.
//!
//! # The map
//!
//! - An [`Event`] is what a producer reports about an [`Account`]: an exact [`Amount`](domain::Amount) of something.
//! - A [`Ledger`](ledger::Ledger) stores it permanently as an entry: [`Sqlite`] on disk, or [`Memory`] for trying
//!   things out.
//! - A [`Budget`](domain::Budget) in an account's [`Profile`](domain::Profile) has thresholds. Reaching one appends an
//!   alert.
//! - A [`Feed`] is the core API: append to it, read from it, subscribe to it. Appending returns a [`Receipt`].
//! - A [`Subscription`] is one reader with its own [`Position`]; it yields [`Message`]s.
//! - [`Authorize`] decides what the bearer of a token may do, as a [`Grant`]; [`Jwt`] reads it from signed tokens.
//! - A [`Hub`] assembles all of it, HTTP and Socket.IO, into one [`axum::Router`].
//! - A [`Push`] is an ephemeral event to connected Socket.IO clients, outside the ledger.
//! - [`serve()`] is an accept loop with [`Limits`] for the open internet.
//!
//! The names at the root are those that most programs need. The rest are in modules: [`domain`] for the data,
//! [`feed`] for reading and following, [`access`] for tokens and grants, [`ledger`] for writing your own storage,
//! [`serve`](mod@serve) for the accept loop.
//!
//! ```
//! use tallycast::{Event, Hub, Jwt, Memory};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = b"a secret of at least thirty-two bytes";
//! let hub = Hub::builder(Memory::new(), Jwt::hs256(secret)?).build().await?;
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

pub mod access;
mod api;
mod deadline;
pub mod domain;
pub mod feed;
mod http;
mod hub;
pub mod ledger;
mod limit_report;
mod quota;
#[cfg(feature = "schema")]
mod schema;
pub mod serve;
mod transport;

// Their types appear in our signatures, so an embedder must use the same versions.
pub use {axum, jiff, socketioxide};

pub use access::{Authorize, Grant, Jwt, Origins, Scope};
pub use domain::{Account, Event, Invalid, Position};
pub use feed::{AppendError, Feed, Message, Outcome, Receipt, SubscribeOptions, Subscription};
pub use hub::{BuildError, Hub, HubBuilder};
pub use ledger::{Memory, Sqlite};
pub use quota::Quotas;
#[cfg(feature = "schema")]
pub use schema::contract;
pub use serve::{Limits, serve};
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
