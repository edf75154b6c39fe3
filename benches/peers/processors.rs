//! Assigns processors: servers run on one, the generator on another.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors of the server and of everything else. `pinned` is `None` on a machine with one processor.
#[derive(Clone, Copy)]
pub(crate) struct Processors {
    pinned: Option<(usize, usize)>,
}

impl Processors {
    pub(crate) fn of_this_machine() -> Self {
        let allowed = sched_getaffinity(None).unwrap();
        let mut ours = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu));
        let pinned = ours.next().zip(ours.next_back());
        let processors = Self { pinned };
        processors.pin(|(_, generator)| generator);
        processors
    }

    pub(crate) fn are_separate(self) -> bool {
        self.pinned.is_some()
    }

    /// Starts a process on the server's processor. A child process inherits the affinity of its parent, from its first
    /// thread on.
    pub(crate) fn start<T>(self, start: impl FnOnce() -> T) -> T {
        self.pin(|(server, _)| server);
        let started = start();
        self.pin(|(_, generator)| generator);
        started
    }

    fn pin(self, choose: impl FnOnce((usize, usize)) -> usize) {
        if let Some(pinned) = self.pinned {
            let mut set = CpuSet::new();
            set.set(choose(pinned));
            sched_setaffinity(None, &set).unwrap();
        }
    }
}
