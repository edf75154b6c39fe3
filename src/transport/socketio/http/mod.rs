//! Engine.IO over HTTP: opening sessions, polling, and the way to a WebSocket.

mod polling;
mod probe;
mod refusal;
mod request;
mod service;
mod upgrade;

pub(super) use service::HttpService;
