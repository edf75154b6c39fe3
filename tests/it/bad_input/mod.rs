//! Bad input: what each gets on every transport that it concerns, and that it harms nobody.
//!
//! The table of all cases is in `docs/security.md`, with the tests of other folders.

mod framing;
