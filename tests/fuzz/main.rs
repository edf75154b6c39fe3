//! Inputs that no one would write: mutations of the files in `corpus`, and random ones.
//!
//! Each target runs every file of its corpus unchanged, then mutates them for `FUZZ_SECONDS` (5 by default). `make fuzz`
//! runs them for an hour together. A finding is printed in its smallest form: add it to the corpus as a file, where it
//! stays a test. `FUZZ_SEED` repeats a run; without it, short runs have a fixed seed and long ones a random one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod amounts;
mod events;
mod fuzzer;
mod heads;
mod mutation;
mod packets;
mod positions;
mod server;
mod tables;
mod texts;
mod tokens;
