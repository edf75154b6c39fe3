//! The load generator: many watchers on one thread, which polls without sleeping and reads only as much
//! of a message as it needs to check it. It must cost less than any server that it measures.
//!
//! - A [`WatchProtocol`] is how a watcher follows: Socket.IO, plain WebSocket or SSE.
//! - A `BenchWatcher` parses bytes into messages, and its `Sequence` checks each one. Neither does I/O.
//! - [`Clients`] owns the connections of the watchers, and those that post events.
//! - A [`Source`] makes messages: [`HttpSource`] posts events; a peer in a benchmark is asked by a line of text.
//! - The functions of [`workloads`] ask a source for messages, and measure how they arrive.
//!
//! `benches/peers.rs` includes this folder too, so nothing here uses another part of the crate.

mod clients;
mod error;
pub(crate) mod frame;
mod http_source;
mod latencies;
mod message;
mod poster;
mod protocol;
pub(crate) mod random_accounts;
mod sequence;
mod silence;
pub(crate) mod source;
mod target_server;
pub(crate) mod watcher;
pub(crate) mod workloads;

pub(crate) use clients::Clients;
pub(crate) use error::BenchError;
pub(crate) use http_source::HttpSource;
pub(crate) use protocol::WatchProtocol;
pub(crate) use target_server::TargetServer;
pub(crate) use workloads::Measured;
