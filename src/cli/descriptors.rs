//! The limit on open files. Each connection needs a file descriptor.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard limit, if permitted, and returns the resulting limit.
///
/// Many shells set the soft limit to 1,024, for programs that use `select`.
pub(crate) fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    let raised = if setrlimit(Resource::Nofile, limit).is_ok() {
        limit.current
    } else {
        soft
    };
    raised.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}
