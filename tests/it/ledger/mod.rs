//! The ledger, in memory and on SQLite.

mod backlog;
mod commit_queue;
mod disk_failures;
mod epoch;
mod model_properties;
mod revocations;
mod sqlite_file;
