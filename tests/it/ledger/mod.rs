//! The ledger, in memory and on SQLite.

mod backlog;
mod commit_queue;
mod disk_failures;
mod epoch;
mod model_properties;
#[cfg(unix)]
mod permissions;
mod revocations;
mod sqlite_file;
