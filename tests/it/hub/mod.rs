//! The hub in the program that embeds it.

mod embedding;
mod logs;
