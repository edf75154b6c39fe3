//! The reading half of a connection.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::Instant,
};

use super::{flow_control::FlowControl, wakers::store_waker};
use crate::transport::{
    limits::READ_BYTES,
    socketio::engine::{ClientPacket, ClientPacketReader},
    websocket::{BINARY, CONTINUATION, CloseCode, InboundFrame, InboundTracker, PING, TEXT},
    wire::Wire,
};

/// A client's answer to the engine's ping, masked with zeros.
const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];

/// Checks, counts and prepares the client's bytes on their way to the engine.
#[derive(Debug)]
pub(crate) struct ReadHalf {
    /// Bytes that HTTP has already read. They come before those of the wire.
    early: Bytes,
    inbound: InboundTracker,
    /// Reads the message that arrives, if it is text.
    packet: Option<ClientPacketReader>,
    /// How many of the client's pings the engine has not answered yet.
    pongs_owed: usize,
    fault: Option<CloseCode>,
    /// The engine pings as soon as a session opens. Stock servers ping after the first interval, and so do we: the
    /// first ping is swallowed.
    expects_first_ping: bool,
    /// Whether the engine is to read a pong that no client sent: it gets one for each of its pings, at once.
    engine_awaits_pong: bool,
    /// When a ping was sent, if no frame was read since.
    ping_at: Option<Instant>,
    reader: Option<Waker>,
}

impl ReadHalf {
    pub(crate) fn new(early: Bytes) -> Self {
        Self {
            early,
            inbound: InboundTracker::default(),
            packet: None,
            pongs_owed: 0,
            fault: None,
            expects_first_ping: true,
            engine_awaits_pong: false,
            ping_at: None,
            reader: None,
        }
    }

    pub(crate) fn without_first_ping(&mut self) {
        self.expects_first_ping = false;
    }

    pub(crate) fn expects_first_ping(&self) -> bool {
        self.expects_first_ping
    }

    /// The engine's first ping was swallowed.
    pub(crate) fn first_ping_was_swallowed(&mut self) {
        self.expects_first_ping = false;
        self.engine_awaits_pong = true;
        self.wake();
    }

    /// The engine's ping was sent.
    pub(crate) fn ping_was_sent(&mut self) {
        self.engine_awaits_pong = true;
        self.ping_at.get_or_insert_with(Instant::now);
        self.wake();
    }

    /// When a ping was sent, if no frame was read since.
    pub(crate) fn ping_at(&self) -> Option<Instant> {
        self.ping_at
    }

    /// Expects no sign of the client until the next ping.
    pub(crate) fn forget_ping(&mut self) {
        self.ping_at = None;
    }

    /// The close code for the client's protocol error, if there was one.
    pub(crate) fn fault(&self) -> Option<CloseCode> {
        self.fault
    }

    /// Whether the client has begun to close.
    pub(crate) fn is_closing(&self) -> bool {
        self.inbound.is_closing()
    }

    /// Whether the engine has still to answer a ping. Until then nothing more is read: the engine would keep the answers
    /// of a client that does not take them, without a bound.
    pub(crate) fn owes_pong(&self) -> bool {
        self.pongs_owed > 0
    }

    /// Records that the engine has written so many answers to pings.
    pub(crate) fn sent(&mut self, pongs: usize) {
        if pongs > 0 {
            self.pongs_owed = self.pongs_owed.saturating_sub(pongs);
            self.wake();
        }
    }

    /// Stores the waker of the reading task.
    pub(crate) fn register_reader(&mut self, cx: &Context<'_>) {
        store_waker(&mut self.reader, cx);
    }

    pub(crate) fn wake(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Reads from the wire, which is `None` once the connection is cut.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        wire: Option<Pin<&mut Wire>>,
        flow: &FlowControl,
    ) -> Poll<io::Result<()>> {
        let is_due = self.engine_awaits_pong && self.inbound.at_boundary();
        if is_due && buf.remaining() >= PONG.len() {
            self.engine_awaits_pong = false;
            buf.put_slice(PONG);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if self.early.has_remaining() {
            let taken = self.early.len().min(buf.remaining()).min(READ_BYTES);
            buf.put_slice(&self.early.split_to(taken));
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
        } else {
            let Some(wire) = wire else {
                return Poll::Ready(Ok(()));
            };
            ready!(wire.poll_read(cx, buf))?;
        }
        let verdict = self.pass(&mut buf.filled_mut()[before..], flow);
        Poll::Ready(verdict.map_err(|code| {
            self.fault = Some(code);
            code.protocol_error()
        }))
    }

    fn pass(&mut self, mut bytes: &mut [u8], flow: &FlowControl) -> Result<(), CloseCode> {
        while !bytes.is_empty() {
            let step = self.inbound.step(bytes)?;
            let (taken, rest) = bytes.split_at_mut(step.used);
            match step.opcode {
                TEXT if self.packet.is_none() => self.packet = Some(ClientPacketReader::default()),
                BINARY => self.packet = None,
                _ => {}
            }
            if let (TEXT | CONTINUATION, Some(packet)) = (step.opcode, &mut self.packet) {
                pass_payload(packet, &mut taken[step.payload], step.mask);
            }
            if let Some(frame) = step.ended {
                self.ping_at = None;
                self.count(frame, flow)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Counts a whole frame, and the message that ends with it.
    fn count(&mut self, frame: InboundFrame, flow: &FlowControl) -> Result<(), CloseCode> {
        let now = Instant::now();
        if frame.is_small() {
            flow.count_small_frame(now)?;
        }
        if frame.opcode == PING {
            self.pongs_owed += 1;
        }
        if frame.is_control() || !frame.is_final {
            return Ok(());
        }
        let packet = self.packet.take().map(|packet| packet.packet());
        flow.count_packet(packet.unwrap_or(ClientPacket::Unanswered), now)
    }
}

/// Passes on a masked part of a packet.
fn pass_payload(packet: &mut ClientPacketReader, payload: &mut [u8], mask: [u8; 4]) {
    for (byte, mask) in payload.iter_mut().zip(mask.into_iter().cycle()) {
        if packet.is_done() {
            break;
        }
        *byte = packet.pass(*byte ^ mask) ^ mask;
    }
}
