//! Carries riders after a commit: without waking a task for each of them, and on the runtime, away from the
//! ledger's thread, unless there are few.

use std::{
    collections::VecDeque,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::available_parallelism,
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, task};

use super::{heads::Head, rider::Ahead};

/// Riders that are carried before others on the runtime get their turn: about two milliseconds.
const RIDERS_AT_ONCE: usize = 256;

/// As many riders are carried on the ledger's own thread, where that is wanted: waking another would take as
/// long, about 40 microseconds.
const RIDERS_AT_HAND: usize = 8;

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
        if let Some((runtime, carrying)) = self.carrying(head) {
            // Writing must not look blocked because the task has used its budget up: it yields by itself.
            runtime.spawn(task::unconstrained(carrying.run()));
        }
    }

    /// The head has moved: its riders have, when this returns, if they are few.
    pub(super) fn carry_at_once(&self, head: &Arc<Head>) {
        if head.riders() > RIDERS_AT_HAND {
            return self.carry(head);
        }
        let Some((runtime, carrying)) = self.carrying(head) else {
            return;
        };
        // Writers may start tasks, and none of their bugs is to end this thread.
        let _entered = runtime.enter();
        let carried = AssertUnwindSafe(|| carrying.run().now_or_never());
        if panic::catch_unwind(carried).is_err() {
            tracing::error!(
                "a writer of updates panicked: its client may get none until it connects anew"
            );
        }
    }

    /// Who carries this head's riders, unless there are none or somebody is about to.
    fn carrying(&self, head: &Arc<Head>) -> Option<(&Handle, Carrying)> {
        if head.riders() == 0 || !head.becomes_due() {
            return None;
        }
        let runtime = self.runtime.get();
        let runtime = runtime.expect("it starts before the first rider comes");
        let share = &self.shares[head.number() % self.shares.len()];
        let is_started = share.push(head);
        is_started.then(|| (runtime, Carrying::new(share)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Account, AccountState, Epoch, Position, Stamp},
        feed::{
            Message, Mode,
            batch::Batch,
            heads::Heads,
            message::TotalsOf,
            rider::{Rider, Sink},
            tail::Update,
        },
    };

    /// Takes what it is offered, or has a bug.
    struct Taking(bool);

    impl Sink for Taking {
        fn is_open(&self) -> bool {
            true
        }

        fn offer(&self, _: &Batch) -> bool {
            assert!(self.0, "a bug");
            true
        }
    }

    fn at(offset: u64) -> Position {
        let stamp = Stamp {
            day: 0,
            revision: 0,
        };
        Position {
            epoch: Epoch(1),
            tag: 0,
            offset,
            stamp,
            totals_due: false,
        }
    }

    /// The account has an entry more.
    fn move_to(head: &Head, account: &Account, offset: u64) {
        let state = AccountState {
            offset,
            ..AccountState::default()
        };
        let update = Update {
            from: offset,
            totals: TotalsOf::All,
            message: Message::live(account, at(offset)),
        };
        head.advance(&state, vec![update]);
    }

    #[tokio::test]
    async fn a_writer_that_panics_ends_neither_the_thread_nor_another_rider() {
        let heads = Heads::new(Epoch(1));
        heads.fanout().start();
        let alice = Account::parse("alice").unwrap();
        let head = heads.watch(&alice);
        let [bad, good] = [false, true].map(|takes| {
            let rider: Arc<Rider> = Arc::new(Rider::new(Taking(takes), Mode::Entries));
            (head.add_rider(rider.clone()), rider)
        });
        let rides = [&bad, &good].map(|(_, rider)| rider.get_on(at(0), 0).unwrap());
        move_to(&head, &alice, 1);
        heads.fanout().carry_at_once(&head);
        // Their tasks go on from where they are.
        for ride in &rides {
            assert!(ride.ended().now_or_never().is_some());
        }
        assert_eq!(good.1.position(), Some(at(0)));

        drop(rides);
        head.remove_rider(bad.0);
        let _ride = good.1.get_on(at(1), 0).unwrap();
        move_to(&head, &alice, 2);
        heads.fanout().carry_at_once(&head);
        assert_eq!(good.1.position(), Some(at(2)));
    }
}
