//! The binary, as an operator or a service manager uses it.

mod bench;
#[cfg(unix)]
mod certificates;
mod config;
mod demo;
mod endless_answers;
mod export;
mod flash_policy;
mod hostile_clients;
#[cfg(unix)]
mod hostile_text;
mod page;
#[cfg(unix)]
mod private_files;
#[cfg(unix)]
mod redaction;
mod replay;
mod replay_times;
mod revocation;
mod serve;
mod stalled_readers;
mod token;
mod watch;
