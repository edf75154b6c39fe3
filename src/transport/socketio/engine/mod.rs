//! The stock engine of socketioxide, and the packets that it reads and writes. Nothing here depends on sessions or connections.

mod bridge;
mod client_packet;
mod packet;

pub(super) use bridge::{EngineBridge, EngineResponse, NotFound, Opening};
pub(super) use client_packet::{ClientPacket, ClientPacketReader, restored_name};
pub(super) use packet::{Packet, SEPARATOR, with_our_limits};
