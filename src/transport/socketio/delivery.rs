use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use socketioxide::extract::SocketRef;

use super::{direct::event_frame, flow::Flow, session::Session};

/// An event for feed sockets, made once for all of them: each gets it at most once.
pub(crate) struct Delivery<'a> {
    event: &'a str,
    data: &'a RawValue,
    frame: Bytes,
    /// Whether it is left out where it cannot go at once.
    is_volatile: bool,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(event: &'a str, data: &'a RawValue, is_volatile: bool) -> Self {
        Self {
            event,
            data,
            frame: event_frame(event, data.get()),
            is_volatile,
        }
    }

    /// Writes it to the socket's connection, or else hands it to the engine. Who has no room misses it: so a
    /// flood does not fill the engine's channel, which ends a session whose ping does not fit.
    pub(crate) fn send(&self, socket: &SocketRef) {
        let Some(session) = socket.req_parts().extensions.get::<Arc<Session>>() else {
            return;
        };
        // A socket that has left may have been followed by another, which must not get what was for the first.
        let is_clear = |flow: &Flow| socket.connected() && flow.is_clear_for_push();
        if let Some(conn) = session.conn()
            && (conn.write_direct(is_clear, || self.frame.clone()) || self.is_volatile)
        {
            return;
        }
        let (flow, bytes) = (&session.flow, self.frame.len());
        if flow.push_emitted(bytes) && socket.emit(self.event, self.data).is_err() {
            flow.pushes_gone(1, bytes);
        }
    }
}
