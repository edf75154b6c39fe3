//! Socket.IO.

mod direct_delivery;
mod engine_bypass;
mod engineio_protocol;
mod feed_namespace;
mod hostile_sessions;
mod load;
mod protocol_violations;
mod sessions;
mod slow_clients;
mod socketio_protocol;
