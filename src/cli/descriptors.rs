//! The limit on open files: each connection takes one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard one, as far as that is ours to do; the limit.
///
/// The soft one is 1,024 in many shells, for the sake of programs that use `select`.
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
