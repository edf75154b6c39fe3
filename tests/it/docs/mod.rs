//! The documents agree with the sources and with each other.

mod error_codes;
mod links;
mod readme;
