//! The feed's namespace: the admission of sockets, the task of each socket, its requests, and its messages.

mod ack;
mod admission;
mod bypass_sink;
mod namespace;
mod push;
mod request;
mod request_queue;
mod socket;
mod state;
mod writer;

#[cfg(feature = "schema")]
pub(crate) use ack::{AckOk, AckRefused, Authenticated, Subscribed, Unsubscribed};
pub(super) use namespace::open;
pub(crate) use push::PushDelivery;
#[cfg(feature = "schema")]
pub(crate) use request::{
    AuthenticateRequest, FeedAuth, HistoryRequest, SubscribeRequest, UnsubscribeRequest,
};
pub(super) use state::{FeedSession, FeedState};
