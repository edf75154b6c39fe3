//! The ways a subscription reaches a client: one thin room each.

pub(crate) mod socketio;
