//! The byte stream under a connection, once HTTP has released it.

mod direct;
mod shared;
mod stall;
mod stream;

pub(super) use direct::DirectStream;
pub(super) use shared::{SharedWire, WireSink, WireTask};
pub(super) use stall::WriteStall;
pub(super) use stream::{Wire, linger};
