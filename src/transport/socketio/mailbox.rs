//! The one way in for a feed socket's requests: bounded, inline, in order.

use std::{fmt, sync::Arc};

use socketioxide::{
    adapter::Adapter,
    handler::{FromMessageParts, Value},
    socket::Socket,
};

use super::{limits::REQUEST_BYTES_MAX, session::Session};

/// An event from the client as it came: `["name", …]`, and the number of the ack it waits for.
///
/// It has no `Debug`: there may be a token in it.
pub(super) struct Request {
    /// `None` where it was too long to keep.
    pub(super) text: Option<Box<str>>,
    pub(super) ack: Option<i64>,
}

/// An extractor that never succeeds. Extractors run inline on the reading task and in order; a
/// handler would run in a task of its own, without either. So the request is put into the mailbox
/// here, and refusing to extract keeps the engine from spawning that task.
pub(super) enum ToMailbox {}

impl<A: Adapter> FromMessageParts<A> for ToMailbox {
    type Error = Taken;

    fn from_message_parts(
        socket: &Arc<Socket<A>>,
        value: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Taken> {
        let session = socket.req_parts().extensions.get::<Arc<Session>>();
        let Some(session) = session else {
            return Err(Taken);
        };
        // Copied: the text is a slice of a buffer that may be much larger.
        let text = value
            .as_str()
            .filter(|text| text.len() <= REQUEST_BYTES_MAX);
        let text = text.map(|text| text.as_str().into());
        session.ask(Request { text, ack: *ack });
        Err(Taken)
    }
}

/// The request is in the mailbox, there is nothing left to handle.
#[derive(Debug)]
pub(super) struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is answered in order by its socket's task")
    }
}

impl std::error::Error for Taken {}
