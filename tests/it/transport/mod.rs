//! The transports of a feed, and pushes.

mod follow;
mod http_stream;
mod push;
mod socketio;
mod websocket;
