//! The plain WebSocket.

mod direct_delivery;
mod frames;
mod handshake;
mod requests;
mod timeouts;
