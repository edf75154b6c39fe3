//! Tallycast: every customer's running tally, cast live to their app.

mod serve;

pub use serve::{Connection, Limits, Serve, Slot, serve};
#[cfg(feature = "tls")]
pub use serve::{Tls, TlsError};
