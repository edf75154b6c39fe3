//! The Socket.IO transport: stock clients over WebSocket, polling, and the upgrade between them.
//!
//! The engine of socketioxide speaks the protocol, on a stream that we own. The modules are layers. Each uses only
//! those below it:
//!
//! - [`http`] checks requests, opens [sessions](session), and hands a WebSocket to the engine.
//! - [`feed`] is the namespace `/feed`: one task per socket reads its requests and writes its messages.
//! - [`session`] holds our state of an Engine.IO session, the registry of all sessions, and their drain.
//! - [`connection`] is our handle to a session's WebSocket: it writes frames between the engine's packets.
//! - [`engine`] calls the engine.

mod connection;
mod engine;
mod feed;
mod http;
mod limits;
mod session;

use std::{sync::Arc, time::Duration};

use axum::Router;
use socketioxide::{ParserConfig, SocketIo};

pub(crate) use feed::PushDelivery;
#[cfg(feature = "schema")]
pub(crate) use feed::{
    AckOk, AckRefused, AuthenticateRequest, Authenticated, FeedAuth, HistoryRequest,
    SubscribeRequest, Subscribed, UnsubscribeRequest, Unsubscribed,
};

use self::{
    engine::{EngineBridge, NotFound},
    feed::FeedState,
    http::HttpService,
    limits::{CHANNEL_PACKETS, ENGINE_PING_TIMEOUT, POLLING_BODY_BYTES_MAX},
    session::{Registry, drain},
};
use super::limits::{MESSAGE_BYTES_MAX, READ_BYTES, Timing, UPGRADE_TIMEOUT};
use crate::{access::Origins, http::AppState, quota::Usage};

/// What a host may configure.
pub(crate) struct SocketIoOptions {
    pub(crate) timing: Timing,
    /// The most binary attachments of one packet. The feed needs none; a host's namespace may.
    pub(crate) attachments_max: usize,
    /// The most open sessions. Polling sessions hold no connection that would bound them.
    pub(crate) sessions_max: usize,
    /// Which web pages may call.
    pub(crate) origins: Origins,
    /// What clients use, against their quotas.
    pub(crate) usage: Arc<Usage>,
}

/// The transport. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SocketIoTransport {
    io: SocketIo,
    service: HttpService,
}

impl SocketIoTransport {
    pub(crate) fn new(options: SocketIoOptions) -> Self {
        let SocketIoOptions {
            timing,
            attachments_max,
            sessions_max,
            origins,
            usage,
        } = options;
        let parser = ParserConfig::common()
            .max_incoming_binaries(attachments_max)
            .max_incoming_binary_buf_size(MESSAGE_BYTES_MAX)
            .packet_completion_timeout(timing.connect_timeout);
        let (service, io) = SocketIo::builder()
            .ping_interval(timing.ping_interval)
            .ping_timeout(ENGINE_PING_TIMEOUT)
            .connect_timeout(timing.connect_timeout)
            .upgrade_timeout(UPGRADE_TIMEOUT)
            .ack_timeout(timing.ping_timeout)
            .max_buffer_size(CHANNEL_PACKETS)
            .max_payload(POLLING_BODY_BYTES_MAX)
            .ws_read_buffer_size(READ_BYTES)
            .ws_max_message_size(MESSAGE_BYTES_MAX)
            .ws_max_frame_size(MESSAGE_BYTES_MAX)
            .with_parser(parser)
            .build_with_inner_svc(NotFound);
        // C++ clients always open it, so it accepts and does nothing.
        io.ns("/", async || {});
        Self {
            io,
            service: HttpService {
                engine: EngineBridge::new(service),
                registry: Arc::new(Registry::new(sessions_max)),
                timing,
                origins,
                usage,
            },
        }
    }

    /// Opens the namespace `/feed`.
    pub(crate) fn open_feed(&self, app: AppState) {
        feed::open(&self.io, app);
    }

    /// The routes `/socket.io` and `/socket.io/`, to be merged or nested.
    pub(crate) fn router(&self) -> Router {
        self.service.router()
    }

    /// The handle for a host's own namespaces.
    pub(crate) fn socket_io(&self) -> &SocketIo {
        &self.io
    }

    /// The number of open sessions.
    pub(crate) fn sessions(&self) -> usize {
        self.service.registry.len()
    }

    /// Closes all sessions over `period` and refuses new ones.
    pub(crate) async fn drain(&self, period: Duration) {
        drain::run(&self.service.registry, period, FeedState::has_socket).await;
    }
}
