//! Carries riders after a commit: on the runtime, away from the ledger's thread, and without waking a task
//! for each of them.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::available_parallelism,
};

use tokio::{runtime::Handle, task};

use super::{heads::Head, rider::Ahead};

/// Riders that are carried before others on the runtime get their turn: about two milliseconds.
const RIDERS_AT_ONCE: usize = 256;

/// The most tasks that carry at a time: as many as there are processors, and no more than this.
const TASKS_MAX: usize = 16;

/// The heads that have moved and whose riders have not. One task for each share of the accounts carries them,
/// and ends when there are none.
pub(super) struct Fanout {
    runtime: OnceLock<Handle>,
    shares: Box<[Arc<Share>]>,
}

/// It is bounded by the watched accounts: a head waits at most once.
#[derive(Default)]
struct Share(Mutex<Due>);

#[derive(Default)]
struct Due {
    heads: VecDeque<Arc<Head>>,
    is_running: bool,
}

impl Fanout {
    pub(super) fn new() -> Self {
        let tasks = available_parallelism().map_or(1, usize::from);
        let share = |_| Arc::default();
        Self {
            runtime: OnceLock::new(),
            shares: (0..tasks.min(TASKS_MAX)).map(share).collect(),
        }
    }

    /// Carries on the runtime of the caller from now on, unless it does so on another.
    pub(super) fn start(&self) {
        self.runtime.get_or_init(Handle::current);
    }

    /// The head has moved: its riders will.
    pub(super) fn carry(&self, head: &Arc<Head>) {
        if !head.has_riders() || !head.becomes_due() {
            return;
        }
        let runtime = self.runtime.get();
        let runtime = runtime.expect("it starts before the first rider comes");
        let share = &self.shares[head.number() % self.shares.len()];
        if share.push(head) {
            let carrying = Carrying::new(share);
            // Writing must not look blocked because the task has used its budget up: it yields by itself.
            runtime.spawn(task::unconstrained(carrying.run()));
        }
    }
}

impl Share {
    /// Whether a task has to be started for it.
    fn push(&self, head: &Arc<Head>) -> bool {
        let mut due = self.lock();
        due.heads.push_back(Arc::clone(head));
        !std::mem::replace(&mut due.is_running, true)
    }

    /// The next head; where there is none, the task is not running any more.
    fn next(&self) -> Option<Arc<Head>> {
        let mut due = self.lock();
        let head = due.heads.pop_front();
        due.is_running = head.is_some();
        head
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one share.
struct Carrying {
    share: Arc<Share>,
    head: Option<Arc<Head>>,
    is_done: bool,
}

impl Carrying {
    fn new(share: &Arc<Share>) -> Self {
        Self {
            share: Arc::clone(share),
            head: None,
            is_done: false,
        }
    }

    async fn run(mut self) {
        let mut carried = 0;
        loop {
            self.head = self.share.next();
            let Some(head) = &self.head else { break };
            // In this order: a commit that comes in between makes the head due again.
            head.no_longer_due();
            let mark = head.mark();
            let mut ahead = Ahead::new(head);
            let mut reached = 0;
            loop {
                let riders = head.riders_after(reached, RIDERS_AT_ONCE - carried);
                let Some((last, _)) = riders.last() else {
                    break;
                };
                reached = *last;
                for (_, rider) in &riders {
                    rider.carry(mark, &mut ahead);
                }
                carried += riders.len();
                if carried == RIDERS_AT_ONCE {
                    carried = 0;
                    task::yield_now().await;
                }
            }
        }
        self.is_done = true;
    }
}

impl Drop for Carrying {
    /// Where the runtime ends before the task does, whoever rides goes on by itself, on another.
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        while let Some(head) = self.head.take().or_else(|| self.share.next()) {
            head.no_longer_due();
            for (_, rider) in head.riders_after(0, usize::MAX) {
                rider.put_off();
            }
        }
    }
}

impl fmt::Debug for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fanout").finish_non_exhaustive()
    }
}
