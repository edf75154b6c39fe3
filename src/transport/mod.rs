//! One thin room for each way to follow a feed, and what they share.

mod expiry;
mod farewell;
mod frame;
mod handshake;
mod limits;
pub(crate) mod socketio;
mod wire;

pub(crate) use limits::Timing;
