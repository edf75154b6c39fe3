//! A response that does not end: each message of the feed is written in the transport's own format.
//!
//! Under [`serve`](crate::serve()), a task writes Server-Sent Events and lines of JSON to the connection itself, without
//! hyper ([`chunked`]). Under another server, and for an iframe, hyper polls a [`body`].

mod body;
mod chunked;
mod format;
mod iframe;
mod ndjson;
mod sse;
mod stream;

pub(super) use iframe::follow as iframe;
pub(super) use ndjson::follow as ndjson;
pub(super) use sse::follow as sse;
