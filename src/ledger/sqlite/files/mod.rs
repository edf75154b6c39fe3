//! The files beside the database, and who may read all of them.

mod marker;
mod permissions;

pub(super) use marker::{Marker, SealTime};
pub(super) use permissions::{create_private, warn_if_public};
