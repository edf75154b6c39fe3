//! The Socket.IO transport: stock clients over WebSocket, polling, and the upgrade between them.
//!
//! A request passes the [`front`] door, which checks it ([`opening`], [`refusal`]) and finds or
//! makes its [`session`]. The engine of socketioxide does the protocol, but on a stream that is
//! ours: [`upgrade`] takes it from HTTP, [`guarded`] is what the engine gets, [`conn`] is the
//! handle that we keep. The feed's namespace reads requests from one [`mailbox`] and writes as
//! much as the [`flow`] allows: [`direct`] to the connection where nothing is in the way.

mod answer;
mod command;
mod conn;
mod delivery;
mod direct;
mod drain;
mod engine;
mod flow;
mod front;
mod guarded;
mod limits;
mod mailbox;
mod namespace;
mod opening;
mod outlet;
mod packet;
mod polling;
mod probe;
mod refusal;
mod seam;
mod session;
mod sessions;
mod until;
mod upgrade;
mod watcher;
mod writers;

use std::{sync::Arc, time::Duration};

use axum::Router;
use socketioxide::{ParserConfig, SocketIo};

use super::{Timing, direct_wire, drain::chance, expiry, farewell, frame, handshake, stall, wire};
use crate::api::Api;
use engine::{Elsewhere, Engine};
use front::Front;
use limits::{CHANNEL_PACKETS, MESSAGE_BYTES_MAX, POLLING_BODY_BYTES_MAX, READ_BYTES};
use sessions::Sessions;

#[cfg(feature = "schema")]
pub(crate) use answer::{Authenticated, No, Subscribed, Unsubscribed, Yes};
#[cfg(feature = "schema")]
pub(crate) use command::{Authenticate, Handshake, History, Subscribe, Unsubscribe};
pub(crate) use delivery::Delivery;
pub(crate) use front::OriginCheck;

/// What a host may choose.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) timing: Timing,
    /// Binary attachments of one packet; the feed needs none, a host's namespace may.
    pub(crate) attachments_max: usize,
    /// Sessions at a time; polling ones hold no connection that would bound them.
    pub(crate) sessions_max: usize,
    pub(crate) origins: OriginCheck,
}

/// The transport. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transport {
    io: SocketIo,
    front: Front,
}

impl Transport {
    pub(crate) fn new(options: Options) -> Self {
        let Options {
            timing,
            attachments_max,
            sessions_max,
            origins,
        } = options;
        let parser = ParserConfig::common()
            .max_incoming_binaries(attachments_max)
            .max_incoming_binary_buf_size(MESSAGE_BYTES_MAX)
            .packet_completion_timeout(timing.connect_timeout);
        let (service, io) = SocketIo::builder()
            .ping_interval(timing.ping_interval)
            .ping_timeout(timing.ping_timeout)
            .connect_timeout(timing.connect_timeout)
            .upgrade_timeout(limits::UPGRADE_TIMEOUT)
            .ack_timeout(timing.ping_timeout)
            .max_buffer_size(CHANNEL_PACKETS)
            .max_payload(POLLING_BODY_BYTES_MAX)
            .ws_read_buffer_size(READ_BYTES)
            .ws_max_message_size(MESSAGE_BYTES_MAX)
            .ws_max_frame_size(MESSAGE_BYTES_MAX)
            .with_parser(parser)
            .build_with_inner_svc(Elsewhere);
        // Clients in C++ open it whatever namespace they want, so it accepts and does nothing.
        io.ns("/", async || {});
        let engine = Engine::new(service);
        let sessions = Arc::new(Sessions::new(sessions_max));
        Self {
            io,
            front: Front {
                engine,
                sessions,
                timing,
                origins,
            },
        }
    }

    /// Opens the namespace `/feed`.
    pub(crate) fn open_feed(&self, api: &Api) {
        let Api {
            feed,
            access,
            tickets,
            ..
        } = api.clone();
        let room = namespace::Room {
            feed,
            access,
            tickets,
        };
        namespace::open(&self.io, room);
    }

    /// `/socket.io` and `/socket.io/`, to be merged or nested.
    pub(crate) fn router(&self) -> Router {
        self.front.router()
    }

    /// The handle for a host's own namespaces.
    pub(crate) fn socket_io(&self) -> &SocketIo {
        &self.io
    }

    /// Sessions that are open now.
    pub(crate) fn sessions(&self) -> usize {
        self.front.sessions.len()
    }

    /// Closes all sessions over `period` and lets no new one in.
    pub(crate) async fn drain(&self, period: Duration) {
        drain::run(&self.front.sessions, period).await;
    }
}
