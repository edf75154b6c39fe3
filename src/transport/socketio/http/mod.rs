//! Engine.IO over HTTP: opening sessions, polling, and opening or upgrading to a WebSocket.

mod polling;
mod probe;
mod refusal;
mod request;
mod service;
mod upgrade;

pub(super) use service::HttpService;
