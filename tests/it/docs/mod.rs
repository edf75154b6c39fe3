//! The documents agree with the sources.

mod error_codes;
mod readme;
