//! The default ledger: one SQLite file in WAL mode, and one writer that makes its checkpoints.

mod account;
mod account_rows;
mod backlog;
mod connection;
mod database;
mod days;
mod entries;
mod erase;
mod failure;
mod files;
mod history;
mod index;
mod log;
mod place;
mod read;
mod recent;
mod revocations;
mod schema;
mod write;

pub use database::Sqlite;
