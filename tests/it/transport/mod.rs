//! The transports of a feed, and pushes.

mod follow;
mod http_stream;
mod push;
mod socketio;
#[cfg(target_os = "linux")]
mod stopped_server;
mod websocket;
