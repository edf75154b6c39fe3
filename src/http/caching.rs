use http::{HeaderName, header::CACHE_CONTROL};

/// Forbids caches to keep an answer. Each holds somebody's account, or is out of date with the next event.
pub(crate) const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];
