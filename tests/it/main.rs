//! Facts about Tallycast's behaviour, through its public API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod architecture;
mod backlog;
mod bad_input_socketio;
mod bounds;
mod budgets;
mod checks;
#[cfg(feature = "cli")]
mod cli;
mod cloudevents;
mod contract;
mod contract_schema;
#[cfg(target_os = "linux")]
mod descriptors;
mod desk;
mod direct_frames;
mod disk;
mod documented;
mod engine;
mod engineio_protocol;
mod erasing;
mod erasure;
mod failing;
mod feed;
mod feeds;
mod forge;
mod fuzz;
mod health;
mod hooked;
mod ingest;

mod ledger_properties;
mod logs;
mod messages;
mod midnight;
mod model;
mod model_budgets;
mod origins;
mod past;
mod phone;
mod profiles;
mod pushes;
mod raw_http;
mod raw_websocket;
mod readme;
mod reconcile;
mod resume;
mod riding;
mod run;
mod scripted;
mod serve;
mod server;
mod socketio_bad_input;
mod socketio_embedding;
mod socketio_feed;
mod socketio_load;
mod socketio_protocol;
mod sqlite;
mod stalled_readers;
mod steps;
mod strangers;
mod streams;
mod tickets;
mod transports_bad_input;
mod watching;
mod websocket_handshake;
mod websocket_protocol;
mod websocket_requests;
mod websocket_riding;
mod world;
mod zones;

#[expect(dead_code, reason = "its `main` is for people")]
#[path = "../../examples/protocol_echo.rs"]
mod protocol_echo;
