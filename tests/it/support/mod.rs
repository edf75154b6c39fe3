//! What the tests share.

use std::time::Duration;

/// The HTTP API and the admin listener of a hub in memory, with an HTTP client.
pub(crate) mod api_server;
/// A server under attack, and the proof that it serves everybody else.
pub(crate) mod attacked_server;
/// The real binary in a temporary folder.
#[cfg(feature = "cli")]
pub(crate) mod binary;
/// What the library logs.
pub(crate) mod captured_log;
/// A server in a process of its own, which can be stopped.
#[cfg(target_os = "linux")]
pub(crate) mod child_server;
/// Engine.IO clients that show every packet.
pub(crate) mod engineio_client;
/// A client of the Socket.IO namespace `/feed`.
pub(crate) mod feed_client;
/// A hub in memory whose tokens state their own grant.
pub(crate) mod feed_hub;
/// The open file descriptors of this process.
#[cfg(target_os = "linux")]
pub(crate) mod file_descriptors;
/// The files of this repository.
pub(crate) mod files;
/// One client for each transport that follows a feed.
pub(crate) mod follow_client;
/// A gate before which threads wait until the test opens it.
pub(crate) mod gate;
/// A ledger in memory that calls hooks before each commit and each read.
pub(crate) mod hook_ledger;
/// A hub served on a port of its own.
pub(crate) mod host;
/// A folder with a ledger that is opened, filled and closed again.
pub(crate) mod ledger_folder;
/// A model of the ledger, and random steps that compare the ledger with it.
pub(crate) mod model;
/// Who may read a file.
pub(crate) mod permissions;
/// A small random generator with a seed.
pub(crate) mod random;
/// HTTP requests as raw text, and a server that must not show another account's data.
pub(crate) mod raw_http;
/// Server-Sent Events over a raw connection.
pub(crate) mod raw_sse;
/// WebSocket frames as raw bytes.
pub(crate) mod raw_websocket;
/// A router served by our accept loop, and a client that sends raw bytes.
pub(crate) mod router_server;
/// What an app shows after each message of a feed.
pub(crate) mod screen;
/// A listener whose connections accept bytes as a script says, and record each write.
pub(crate) mod scripted_listener;
/// A server that gives scripted answers, good or hostile.
#[cfg(feature = "cli")]
pub(crate) mod scripted_server;
/// A pseudo-terminal.
#[cfg(all(feature = "cli", unix))]
pub(crate) mod terminal;
/// A feed on a manual clock, and short ways to use it.
pub(crate) mod test_feed;
/// Keys and tokens, valid and forged.
pub(crate) mod tokens;
/// The real binary, and everything that it logs.
#[cfg(feature = "cli")]
pub(crate) mod watched_binary;

#[expect(dead_code, reason = "its `main` is not called here")]
#[path = "../../../examples/protocol_echo.rs"]
pub(crate) mod protocol_echo;

/// A timeout for what would hang if it were broken; no test waits for it otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(10);
