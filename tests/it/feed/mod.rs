//! The feed: what is appended is what subscribers get.

mod append;
mod budgets;
mod erased_account;
mod fair_reads;
mod message_size;
mod midnight;
mod resume;
mod snapshots;
mod subscription;
