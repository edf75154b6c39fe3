//! The load generator: many watchers on one thread, which polls without sleeping and reads no more of a
//! message than it must to check it. It has to be cheaper than any server that it measures.
//!
//! - A [`Way`] says how a watcher follows: Socket.IO, plain WebSocket or SSE.
//! - A `Watcher` makes messages of bytes, and its `Sequence` checks each one. Neither does I/O.
//! - A [`Fleet`] owns the connections: of the watchers, and of whoever posts events.
//! - A [`Source`] makes messages: [`Posts`] by HTTP; a peer in a benchmark is told to by a line.
//! - The functions of [`drive`] ask a source for messages, and measure how they arrive.
//!
//! `benches/peers.rs` includes this folder too, so nothing here names another part of the crate.

pub(crate) mod drive;
mod fault;
mod fleet;
pub(crate) mod frame;
mod latencies;
mod message;
mod poster;
mod posts;
mod sequence;
mod target;
mod targets;
pub(crate) mod watcher;
mod way;

pub(crate) use drive::{Measured, Source};
pub(crate) use fault::Fault;
pub(crate) use fleet::Fleet;
pub(crate) use posts::Posts;
pub(crate) use target::Target;
pub(crate) use targets::Targets;
pub(crate) use way::Way;
