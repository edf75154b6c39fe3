use std::sync::Arc;

use bytes::Bytes;
use socketioxide::extract::SocketRef;

use super::{direct::event_frame, flow::Flow, session::Session};
use crate::transport::push::Push;

/// Pushes to the same feed sockets, made once for all of them: each gets them at most once.
pub(crate) struct Delivery {
    pushes: Vec<Push>,
    /// Those of the pushes, in a row.
    frames: Bytes,
}

impl Delivery {
    pub(crate) fn new(pushes: Vec<Push>) -> Self {
        let frame = |push: &Push| event_frame(&push.event, push.data.get());
        let frames = match pushes.as_slice() {
            [push] => frame(push),
            pushes => pushes.iter().flat_map(frame).collect(),
        };
        Self { pushes, frames }
    }

    /// Writes them to the socket's connection, or else hands them to the engine. Who has no room misses them: so
    /// a flood does not fill the engine's channel, which ends a session whose ping does not fit.
    pub(crate) fn send(&self, socket: &SocketRef) {
        let Some(session) = socket.req_parts().extensions.get::<Arc<Session>>() else {
            return;
        };
        // A socket that has left may have been followed by another, which must not get what was for the first.
        let is_clear = |flow: &Flow| socket.connected() && flow.is_clear_for_push();
        if let Some(conn) = session.conn()
            && conn.write_direct(is_clear, || self.frames.clone())
        {
            return;
        }
        for push in &self.pushes {
            // It is left out where it cannot go at once.
            if push.is_volatile && session.conn().is_some() {
                continue;
            }
            let (flow, bytes) = (&session.flow, push.data.get().len());
            if flow.push_emitted(bytes) && socket.emit(&push.event, &push.data).is_err() {
                flow.pushes_gone(1, bytes);
            }
        }
    }
}
