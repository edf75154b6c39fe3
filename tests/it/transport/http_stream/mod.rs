//! Streamed responses: Server-Sent Events, lines and iframes.

mod response_bodies;
mod write_stall;
