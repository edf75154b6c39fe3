use std::sync::Arc;

use bytes::Bytes;
use socketioxide::extract::SocketRef;

use super::{bypass_sink::event_frame, state::FeedSession};
use crate::transport::{push::Push, socketio::connection::FlowControl};

/// Pushes to the same feed sockets, encoded once for all of them. Each socket gets them at most once.
pub(crate) struct PushDelivery {
    pushes: Vec<Push>,
    /// The frames of all pushes, one after another.
    frames: Bytes,
}

impl PushDelivery {
    pub(crate) fn new(pushes: Vec<Push>) -> Self {
        let frame = |push: &Push| event_frame(&push.event, push.data.get());
        let frames = match pushes.as_slice() {
            [push] => frame(push),
            pushes => pushes.iter().flat_map(frame).collect(),
        };
        Self { pushes, frames }
    }

    /// Writes them to the socket's connection, or else hands them to the engine. A socket without room misses them, so
    /// that a flood does not fill the engine's channel, which ends a session whose ping does not fit.
    pub(crate) fn send(&self, socket: &SocketRef) {
        let Some(session) = socket.req_parts().extensions.get::<Arc<FeedSession>>() else {
            return;
        };
        // After a socket has disconnected, the session may have another one, which must not get its pushes.
        let is_clear = |flow: &FlowControl| socket.connected() && flow.is_clear_for_push();
        if let Some(connection) = session.connection()
            && connection.write_direct(is_clear, || self.frames.clone())
        {
            return;
        }
        for push in &self.pushes {
            // A volatile push is dropped if it cannot be written at once.
            if push.is_volatile && session.connection().is_some() {
                continue;
            }
            let (flow, bytes) = (&session.flow, push.data.get().len());
            if flow.push_emitted(bytes) && socket.emit(&push.event, &push.data).is_err() {
                flow.pushes_gone(1, bytes);
            }
        }
    }
}
