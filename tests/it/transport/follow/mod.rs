//! Requests to follow a feed, whatever the transport.

mod bad_queries;
mod denied_callers;
mod revoked_connections;
mod stock_clients;
