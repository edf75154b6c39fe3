//! Input that concerns several transports or routes and that no client sends by mistake: each gets its documented
//! answer, and the server goes on. `docs/security.md` lists all bad input with its tests.

mod attachments;
mod json;
mod session_ids;
mod time_zones;
mod tokens;
