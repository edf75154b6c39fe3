//! How much one client may use: by address, by token subject, and by account.
//!
//! [`Quotas`] are the numbers. [`Usage`] counts against them: `Rates` for what happens in a moment, and `Holdings` for what
//! lasts. Every counter's memory is bounded.
//!
//! A stranger is counted by address, a caller whose token was accepted by subject too. Who may use all accounts is a
//! backend of the operator's own, and is not counted.

mod body_bytes;
mod client;
mod holdings;
mod rates;
mod settings;
mod too_many;
mod usage;

pub use settings::Quotas;

pub(crate) use body_bytes::HeldBytes;
pub(crate) use client::Client;
pub(crate) use too_many::TooMany;
pub(crate) use usage::{OpenSession, OpenSubscription, Usage};
