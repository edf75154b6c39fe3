//! The stock engine of socketioxide, and the packets that it writes. Nothing here depends on sessions or connections.

mod bridge;
mod packet;

pub(super) use bridge::{EngineBridge, EngineResponse, NotFound, Opening};
pub(super) use packet::{Packet, SEPARATOR, with_our_limit};
