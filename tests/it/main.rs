//! What Tallycast does, seen through its public interfaces.

mod serve;
