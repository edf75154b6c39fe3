//! The reads that wait for a thread, in a line for each requester.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Condvar, Mutex, MutexGuard},
};

use super::requester::Requester;
use crate::ledger::LedgerReader;

/// How many threads read: reads are bound by the processor, not by the disk, so more do not help.
pub(super) const THREADS: usize = 4;
/// How many reads of one requester run at a time. One thread is left for the others, so that a single requester,
/// however much it reads, does not make them wait.
const RUNNING_EACH_MAX: usize = THREADS - 1;
/// How many heavy reads run at a time, one for each requester. The other threads are left for light ones.
const RUNNING_HEAVY_MAX: usize = 2;

/// Reads, and sends the result to the caller.
pub(super) type QueuedRead = Box<dyn FnOnce(&mut dyn LedgerReader) + Send>;

/// How long a read takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A state and at most some hundred entries: a fraction of a millisecond, or a few with the largest state.
    Light,
    /// Past days, or a step of counting an account again: several milliseconds.
    Heavy,
}

/// The reads that wait. The requesters take turns: each gets one read at a time, whatever the others have queued.
pub(super) struct ReadQueue {
    state: Mutex<ReadLines>,
    changed: Condvar,
}

#[derive(Default)]
struct ReadLines {
    lines: HashMap<Requester, Line>,
    /// The requesters whose next light, or heavy, read may start, in the order of their turns.
    light_turns: VecDeque<Requester>,
    heavy_turns: VecDeque<Requester>,
    running_heavy: usize,
    idle_threads: usize,
    is_closed: bool,
}

/// The reads of one requester.
#[derive(Default)]
struct Line {
    light: Lane,
    heavy: Lane,
}

/// The reads of one requester and one weight.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<QueuedRead>,
    running: usize,
    /// Whether the requester is in the list of turns.
    has_turn: bool,
}

/// A read whose turn has come. It counts as running until this is dropped.
pub(super) struct StartedRead<'a> {
    queue: &'a ReadQueue,
    requester: Requester,
    weight: Weight,
    read: Option<QueuedRead>,
}

/// The queue takes no more reads.
#[derive(Debug)]
pub(super) struct QueueClosed;

impl ReadQueue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Adds a read at the end of its requester's line.
    ///
    /// # Errors
    /// When the queue is closed.
    pub(super) fn push(
        &self,
        requester: Requester,
        weight: Weight,
        read: QueuedRead,
    ) -> Result<(), QueueClosed> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(QueueClosed);
        }
        let line = state.lines.entry(requester.clone()).or_default();
        line.lane(weight).waiting.push_back(read);
        state.give_turn(requester, weight);
        self.wake_one(state);
        Ok(())
    }

    /// Takes the read whose turn it is; waits for one. It blocks. `None` once the queue is closed and empty.
    pub(super) fn next(&self) -> Option<StartedRead<'_>> {
        let mut state = self.lock();
        loop {
            if let Some((requester, weight, read)) = state.take() {
                // The end of one read may have let two others start.
                if state.may_start_more() {
                    self.wake_one(state);
                }
                return Some(StartedRead {
                    queue: self,
                    requester,
                    weight,
                    read: Some(read),
                });
            }
            if state.is_closed && state.lines.values().all(Line::has_none_waiting) {
                return None;
            }
            state.idle_threads += 1;
            state = self
                .changed
                .wait(state)
                .expect("nothing panics while it holds the lock");
            state.idle_threads -= 1;
        }
    }

    /// Refuses further reads. Those in the queue are still done.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn finish(&self, requester: &Requester, weight: Weight) {
        let mut state = self.lock();
        state.finish(requester, weight);
        if state.is_closed {
            // The others may be waiting for the last read to end.
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Wakes one thread. A call to the kernel, so not without need.
    fn wake_one(&self, state: MutexGuard<'_, ReadLines>) {
        let is_needed = state.idle_threads > 0;
        drop(state);
        if is_needed {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReadLines> {
        self.state
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl ReadLines {
    /// Takes the next read, if one may start now. A heavy one goes first, since only few may run.
    fn take(&mut self) -> Option<(Requester, Weight, QueuedRead)> {
        if self.running_heavy < RUNNING_HEAVY_MAX
            && let Some(started) = self.take_of(Weight::Heavy)
        {
            self.running_heavy += 1;
            return Some(started);
        }
        self.take_of(Weight::Light)
    }

    fn may_start_more(&self) -> bool {
        let may_run_heavy = self.running_heavy < RUNNING_HEAVY_MAX;
        !self.light_turns.is_empty() || (may_run_heavy && !self.heavy_turns.is_empty())
    }

    fn take_of(&mut self, weight: Weight) -> Option<(Requester, Weight, QueuedRead)> {
        loop {
            let requester = self.turns(weight).pop_front()?;
            let line = self.lines.get_mut(&requester);
            let line = line.expect("a requester with a turn has a line");
            line.lane(weight).has_turn = false;
            // Meanwhile reads of the other weight may have started. The turn comes back when one of them ends.
            if !line.may_start(weight) {
                continue;
            }
            let lane = line.lane(weight);
            let read = lane.waiting.pop_front();
            let read = read.expect("a line with a turn has a read");
            lane.running += 1;
            self.give_turn(requester.clone(), weight);
            return Some((requester, weight, read));
        }
    }

    fn finish(&mut self, requester: &Requester, weight: Weight) {
        let line = self.lines.get_mut(requester);
        let line = line.expect("a requester with a running read has a line");
        line.lane(weight).running -= 1;
        if weight == Weight::Heavy {
            self.running_heavy -= 1;
        }
        if line.is_empty() {
            self.lines.remove(requester);
            return;
        }
        self.give_turn(requester.clone(), Weight::Heavy);
        self.give_turn(requester.clone(), Weight::Light);
    }

    /// Puts a requester at the end of the turns, if its next read of this weight may start and it has no turn yet.
    fn give_turn(&mut self, requester: Requester, weight: Weight) {
        let Some(line) = self.lines.get_mut(&requester) else {
            return;
        };
        let may_start = line.may_start(weight);
        let lane = line.lane(weight);
        if may_start && !lane.has_turn {
            lane.has_turn = true;
            self.turns(weight).push_back(requester);
        }
    }

    fn turns(&mut self, weight: Weight) -> &mut VecDeque<Requester> {
        match weight {
            Weight::Light => &mut self.light_turns,
            Weight::Heavy => &mut self.heavy_turns,
        }
    }
}

impl Line {
    fn lane(&mut self, weight: Weight) -> &mut Lane {
        match weight {
            Weight::Light => &mut self.light,
            Weight::Heavy => &mut self.heavy,
        }
    }

    fn may_start(&self, weight: Weight) -> bool {
        let (lane, is_free) = match weight {
            Weight::Light => (&self.light, true),
            Weight::Heavy => (&self.heavy, self.heavy.running == 0),
        };
        let running = self.light.running + self.heavy.running;
        !lane.waiting.is_empty() && is_free && running < RUNNING_EACH_MAX
    }

    fn has_none_waiting(&self) -> bool {
        self.light.waiting.is_empty() && self.heavy.waiting.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.has_none_waiting() && self.light.running == 0 && self.heavy.running == 0
    }
}

impl StartedRead<'_> {
    pub(super) fn run(mut self, reader: &mut dyn LedgerReader) {
        let read = self.read.take().expect("it runs once");
        read(reader);
    }
}

impl Drop for StartedRead<'_> {
    /// Also after a panic of the read.
    fn drop(&mut self) {
        self.queue.finish(&self.requester, self.weight);
    }
}

impl fmt::Debug for ReadQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadQueue").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(subject: &str) -> Requester {
        Requester::Subject(subject.into())
    }

    fn push(lines: &mut ReadLines, subject: &str, weight: Weight) {
        let line = lines.lines.entry(of(subject)).or_default();
        line.lane(weight).waiting.push_back(Box::new(|_| {}));
        lines.give_turn(of(subject), weight);
    }

    /// Starts what may start.
    fn start(lines: &mut ReadLines) -> Vec<(Requester, Weight)> {
        let started = std::iter::from_fn(|| lines.take());
        started
            .map(|(requester, weight, _)| (requester, weight))
            .collect()
    }

    #[test]
    fn a_requester_runs_one_heavy_read_and_all_together_two() {
        let mut lines = ReadLines::default();
        for subject in ["a", "a", "b", "c"] {
            push(&mut lines, subject, Weight::Heavy);
        }
        push(&mut lines, "a", Weight::Light);
        let started = start(&mut lines);
        let heavy = |subject| (of(subject), Weight::Heavy);
        let light = |subject| (of(subject), Weight::Light);
        assert_eq!(started, [heavy("a"), heavy("b"), light("a")]);
        lines.finish(&of("a"), Weight::Heavy);
        assert_eq!(start(&mut lines), [heavy("c")]);
        lines.finish(&of("b"), Weight::Heavy);
        assert_eq!(start(&mut lines), [heavy("a")]);
    }

    #[test]
    fn a_requester_leaves_a_thread_whatever_the_weight() {
        let mut lines = ReadLines::default();
        for _ in 0..THREADS {
            push(&mut lines, "a", Weight::Light);
            push(&mut lines, "a", Weight::Heavy);
        }
        assert_eq!(start(&mut lines).len(), RUNNING_EACH_MAX);
        lines.finish(&of("a"), Weight::Light);
        assert_eq!(start(&mut lines), [(of("a"), Weight::Light)]);
        lines.finish(&of("a"), Weight::Heavy);
        assert_eq!(start(&mut lines), [(of("a"), Weight::Heavy)]);
    }

    #[test]
    fn nothing_remains_of_whoever_reads_nothing() {
        let mut lines = ReadLines::default();
        for weight in [Weight::Light, Weight::Heavy, Weight::Light] {
            push(&mut lines, "a", weight);
        }
        for (requester, weight) in start(&mut lines) {
            lines.finish(&requester, weight);
        }
        assert!(lines.lines.is_empty());
        assert!(lines.light_turns.is_empty() && lines.heavy_turns.is_empty());
    }
}
