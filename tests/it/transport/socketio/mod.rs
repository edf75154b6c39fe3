//! Socket.IO.

mod back_pressure;
mod direct_delivery;
mod engine_bypass;
mod engineio_protocol;
mod event_names;
mod feed_namespace;
mod hostile_sessions;
mod load;
mod protocol_violations;
mod sessions;
mod slow_clients;
mod socketio_protocol;

use crate::support::{host::Host, protocol_echo};

/// The server that the published protocols test against.
async fn echo_server() -> Host {
    let hub = protocol_echo::settings().build().await.unwrap();
    protocol_echo::register(hub.socket_io());
    Host::start(hub).await
}
