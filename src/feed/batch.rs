use std::{any::TypeId, cell::RefCell, iter};

use bytes::Bytes;

use super::message::Message;
use crate::domain::Position;

/// How a transport encodes messages.
pub(crate) trait Encoding: 'static {
    /// Encodes the messages, one after another.
    fn encode(messages: &[Message]) -> Bytes;
}

/// Consecutive messages, encoded once per transport for all clients that get the same ones.
pub(crate) struct Batch {
    pub(super) messages: Vec<Message>,
    /// The position of a client that has applied all of them.
    pub(super) end: Position,
    encoded: RefCell<Vec<(TypeId, Bytes)>>,
}

impl Batch {
    /// `None` when there are no messages.
    pub(super) fn new(messages: Vec<Message>) -> Option<Self> {
        let end = *messages.last()?.position();
        Some(Self {
            messages,
            end,
            encoded: RefCell::default(),
        })
    }

    /// A message and those after it.
    pub(super) fn starting(first: Message, then: impl IntoIterator<Item = Message>) -> Self {
        let messages: Vec<Message> = iter::once(first).chain(then).collect();
        Self::new(messages).expect("it has a first message")
    }

    /// Returns the first message, which may be sent without the rest.
    pub(crate) fn into_first(mut self) -> Message {
        self.messages.swap_remove(0)
    }

    /// The messages as a transport writes them.
    pub(crate) fn encoded<E: Encoding>(&self) -> Bytes {
        let mut encoded = self.encoded.borrow_mut();
        let encoding = TypeId::of::<E>();
        if let Some((_, bytes)) = encoded.iter().find(|(of, _)| *of == encoding) {
            return bytes.clone();
        }
        let bytes = E::encode(&self.messages);
        encoded.push((encoding, bytes.clone()));
        bytes
    }
}
