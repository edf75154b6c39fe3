//! Dispatches a commit to the direct deliveries of an account, without waking a task per subscription: on the
//! runtime, or on the ledger's thread if there are only a few.

use std::{
    collections::VecDeque,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::available_parallelism,
};

use futures_util::FutureExt;
use tokio::{runtime::Handle, task};

use super::topics::Topic;

/// Deliveries that one task serves before it yields to the runtime: about two milliseconds.
const DELIVERIES_PER_YIELD: usize = 256;

/// The most deliveries that are served on the ledger's thread: waking another thread would take as long,
/// about 40 microseconds.
const INLINE_DELIVERIES_MAX: usize = 8;

/// The most concurrent tasks; fewer where there are fewer processors.
const TASKS_MAX: usize = 16;

/// The topics that are due for dispatch. Each shard of the accounts has one task, which ends when nothing
/// is due.
pub(super) struct Fanout {
    runtime: OnceLock<Handle>,
    shards: Box<[Arc<Shard>]>,
}

/// Bounded by the followed accounts: a topic is in it at most once.
#[derive(Default)]
struct Shard(Mutex<DueTopics>);

#[derive(Default)]
struct DueTopics {
    topics: VecDeque<Arc<Topic>>,
    is_running: bool,
}

impl Fanout {
    pub(super) fn new() -> Self {
        let tasks = available_parallelism().map_or(1, usize::from);
        let shard = |_| Arc::default();
        Self {
            runtime: OnceLock::new(),
            shards: (0..tasks.min(TASKS_MAX)).map(shard).collect(),
        }
    }

    /// Dispatches on the caller's runtime from now on, unless a runtime was set before.
    pub(super) fn start(&self) {
        self.runtime.get_or_init(Handle::current);
    }

    /// Dispatches a topic that has changed.
    pub(super) fn dispatch(&self, topic: &Arc<Topic>) {
        if let Some((runtime, task)) = self.task_for(topic) {
            // Unconstrained, because with Tokio's budget used up a writable socket would look blocked. The
            // task yields by itself.
            runtime.spawn(task::unconstrained(task.run()));
        }
    }

    /// Dispatches a topic that has changed. With only a few deliveries, they are served before this returns.
    pub(super) fn dispatch_inline(&self, topic: &Arc<Topic>) {
        if topic.delivery_count() > INLINE_DELIVERIES_MAX {
            return self.dispatch(topic);
        }
        let Some((runtime, task)) = self.task_for(topic) else {
            return;
        };
        // Sinks may spawn tasks, and a panic in one must not end the ledger's thread.
        let _entered = runtime.enter();
        let dispatched = AssertUnwindSafe(|| task.run().now_or_never());
        if panic::catch_unwind(dispatched).is_err() {
            tracing::error!(
                "a writer of updates panicked: its client may get none until it reconnects"
            );
        }
    }

    /// The task to run for this topic, unless it has no deliveries or a task is about to serve it.
    fn task_for(&self, topic: &Arc<Topic>) -> Option<(&Handle, FanoutTask)> {
        if topic.delivery_count() == 0 || !topic.mark_due() {
            return None;
        }
        let runtime = self.runtime.get();
        let runtime = runtime.expect("it starts before the first delivery is added");
        let shard = &self.shards[topic.number() % self.shards.len()];
        let must_start = shard.push(topic);
        must_start.then(|| (runtime, FanoutTask::new(shard)))
    }
}

impl Shard {
    /// Adds a topic. Returns whether a task must be started for the shard.
    fn push(&self, topic: &Arc<Topic>) -> bool {
        let mut due = self.lock();
        due.topics.push_back(Arc::clone(topic));
        !std::mem::replace(&mut due.is_running, true)
    }

    /// The next topic; `None` ends the shard's task.
    fn next(&self) -> Option<Arc<Topic>> {
        let mut due = self.lock();
        let topic = due.topics.pop_front();
        due.is_running = topic.is_some();
        topic
    }

    fn lock(&self) -> MutexGuard<'_, DueTopics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one shard.
struct FanoutTask {
    shard: Arc<Shard>,
    topic: Option<Arc<Topic>>,
    is_done: bool,
}

impl FanoutTask {
    fn new(shard: &Arc<Shard>) -> Self {
        Self {
            shard: Arc::clone(shard),
            topic: None,
            is_done: false,
        }
    }

    async fn run(mut self) {
        let mut delivered = 0;
        loop {
            self.topic = self.shard.next();
            let Some(topic) = &self.topic else { break };
            // Cleared before the version is read: a commit in between makes the topic due again.
            topic.clear_due();
            let version = topic.version();
            let mut ahead = topic.ahead();
            let mut reached = 0;
            loop {
                let deliveries = topic.deliveries_after(reached, DELIVERIES_PER_YIELD - delivered);
                let Some((last, _)) = deliveries.last() else {
                    break;
                };
                reached = *last;
                for (_, delivery) in &deliveries {
                    delivery.deliver(version, &mut ahead);
                }
                delivered += deliveries.len();
                if delivered == DELIVERIES_PER_YIELD {
                    delivered = 0;
                    task::yield_now().await;
                }
            }
        }
        self.is_done = true;
    }
}

impl Drop for FanoutTask {
    /// When the runtime ends before the task does, or a sink panics, the subscriptions continue in their
    /// own tasks.
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        while let Some(topic) = self.topic.take().or_else(|| self.shard.next()) {
            topic.clear_due();
            for (_, delivery) in topic.deliveries_after(0, usize::MAX) {
                delivery.fall_back();
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
            batch::Batch,
            direct_delivery::{DirectDelivery, Sink},
            message::{Message, TotalsOf, Update},
            options::Mode,
            topics::Topics,
        },
    };

    /// Accepts every batch, or panics.
    struct TestSink {
        accepts: bool,
    }

    impl Sink for TestSink {
        fn is_open(&self) -> bool {
            true
        }

        fn offer(&self, _: &Batch) -> bool {
            assert!(self.accepts, "a bug");
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

    /// The account gets one more entry.
    fn advance_to(topic: &Topic, account: &Account, offset: u64) {
        let mut state = AccountState::new(0);
        state.offset = offset;
        let update = Update {
            from: offset,
            totals: TotalsOf::All,
            message: Message::live(account, at(offset)),
        };
        topic.advance(&state, vec![update]);
    }

    #[tokio::test]
    async fn a_sink_that_panics_ends_neither_the_thread_nor_another_delivery() {
        let (topics, fanout) = (Topics::new(Epoch(1)), Fanout::new());
        fanout.start();
        let alice = Account::parse("alice").unwrap();
        let topic = topics.follow(&alice);
        let [bad, good] = [false, true].map(|accepts| {
            let sink = TestSink { accepts };
            let delivery: Arc<DirectDelivery> = Arc::new(DirectDelivery::new(sink, Mode::Entries));
            (topic.add_delivery(delivery.clone()), delivery)
        });
        let guards = [&bad, &good].map(|(_, delivery)| delivery.start(at(0), 0).unwrap());
        advance_to(&topic, &alice, 1);
        fanout.dispatch_inline(&topic);
        // Both subscriptions continue in their tasks.
        for guard in &guards {
            assert!(guard.fell_back().now_or_never().is_some());
        }
        assert_eq!(good.1.position(), Some(at(0)));

        drop(guards);
        topic.remove_delivery(bad.0);
        let _guard = good.1.start(at(1), 0).unwrap();
        advance_to(&topic, &alice, 2);
        fanout.dispatch_inline(&topic);
        assert_eq!(good.1.position(), Some(at(2)));
    }
}
