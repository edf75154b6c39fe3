//! The byte stream under a connection, once HTTP has released it.

mod direct_stream;
mod shared;
mod stall;
mod stream;

pub(super) use direct_stream::DirectStream;
pub(super) use shared::{SharedWire, WireSink, WireTask};
pub(super) use stall::WriteStall;
pub(super) use stream::{Wire, linger};
