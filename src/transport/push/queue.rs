//! Sends pushes. Those to the feed's namespace are sent one after the other. Waiting pushes to the same sockets are
//! sent together.

use std::{
    collections::VecDeque,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    vec,
};

use futures_util::StreamExt;
use socketioxide::{SocketIo, extract::SocketRef, operators::BroadcastOperators};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    task,
};

use super::{FEED, Push, PushTo, Pushed};
use crate::{domain::Invalid, transport::socketio::PushDelivery};

/// Sockets that are written to before the task yields to the runtime: about two milliseconds.
const SOCKETS_PER_YIELD: usize = 256;
/// The most waiting pushes: 16 MiB of data. Further callers wait for a place.
const WAITING_MAX: usize = 256;
/// The most data that is sent together: as much as a socket may leave unwritten.
const TOGETHER_BYTES_MAX: usize = Push::DATA_BYTES_MAX;

/// Sends pushes in turn. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PushQueue {
    io: SocketIo,
    turn: Arc<Turn>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Turn(Mutex<TurnState>);

#[derive(Default)]
struct TurnState {
    waiting: VecDeque<WaitingPush>,
    /// Whether a caller or a task is sending: it also sends what waits.
    is_sending: bool,
}

/// A push that waits for its turn.
struct WaitingPush {
    push: Push,
    /// Receives the number of sockets.
    sent: oneshot::Sender<usize>,
    #[expect(dead_code, reason = "held, not read: dropping it frees the place")]
    place: OwnedSemaphorePermit,
}

impl PushQueue {
    pub(crate) fn new(io: SocketIo) -> Self {
        Self {
            io,
            turn: Arc::default(),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }

    /// Sends a push. If the future is dropped, the push may be sent or not; one that waits for acknowledgements may
    /// have reached only some sockets.
    ///
    /// # Errors
    /// `reserved_event`, `unknown_namespace`, `invalid_push`.
    pub(crate) async fn push(&self, push: Push) -> Result<Pushed, Invalid> {
        push.check()?;
        if push.namespace == FEED && push.ack_timeout.is_none() {
            return Ok(Pushed {
                sockets: self.send(push).await,
                acknowledged: None,
            });
        }
        let Some(sockets) = self.sockets(&push) else {
            let message = "this namespace is not registered; the feed's is /feed";
            return Err(Invalid::new("unknown_namespace", message));
        };
        Ok(emit(sockets, &push).await)
    }

    /// The sockets that it is for; `None` if its namespace is not registered.
    fn sockets(&self, push: &Push) -> Option<BroadcastOperators> {
        let sockets = self.io.of(&push.namespace)?;
        Some(match &push.to {
            PushTo::Account(account) => sockets.to(format!("account:{account}")),
            PushTo::Subject(subject) => sockets.to(format!("subject:{subject}")),
            PushTo::Room(room) => sockets.to(room.clone()),
            PushTo::All => sockets,
        })
    }

    /// Sends it in turn, and returns the number of sockets.
    async fn send(&self, push: Push) -> usize {
        if !self.turn.begin() {
            return self.wait(push).await;
        }
        let mut sending = PushTask::new(self.clone());
        // A few sockets are written to here. Longer work goes to a task, since it must not end with its caller.
        let run = self.run_of(vec![push], Vec::new());
        let sockets = run.count;
        sending.run = run.advance(&mut { SOCKETS_PER_YIELD });
        let answer = sending.run.as_mut().map(PushRun::answer);
        if sending.has_next() {
            // Unconstrained, because with Tokio's budget used up a writable socket would look blocked. The task
            // yields by itself.
            tokio::spawn(task::unconstrained(sending.run()));
        }
        match answer {
            Some(answer) => answer.await.unwrap_or_default(),
            None => sockets,
        }
    }

    /// Queues it for the current sender.
    async fn wait(&self, push: Push) -> usize {
        // Unconstrained: with Tokio's budget used up there would seem to be no place, and later pushes would overtake
        // this one.
        let place = task::unconstrained(Arc::clone(&self.places).acquire_owned());
        let place = place.await.expect("it is never closed");
        let (sent, answer) = oneshot::channel();
        if self.turn.put(WaitingPush { push, sent, place }) {
            tokio::spawn(task::unconstrained(PushTask::new(self.clone()).run()));
        }
        // There is no answer if the runtime has ended.
        answer.await.unwrap_or_default()
    }

    /// These pushes, to the sockets of the first one.
    fn run_of(&self, pushes: Vec<Push>, sent: Vec<oneshot::Sender<usize>>) -> PushRun {
        let sockets = self.sockets(&pushes[0]);
        let sockets = sockets.map_or_else(Vec::new, BroadcastOperators::sockets);
        PushRun {
            delivery: PushDelivery::new(pushes),
            count: sockets.len(),
            sockets: sockets.into_iter(),
            sent,
        }
    }
}

impl Turn {
    /// Begins to send. Returns whether nothing was being sent: then the caller is the sender.
    fn begin(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_sending, true)
    }

    /// Queues a push. Returns whether nothing was being sent: then the caller must start a sender.
    fn put(&self, waiting: WaitingPush) -> bool {
        let mut state = self.lock();
        state.waiting.push_back(waiting);
        !std::mem::replace(&mut state.is_sending, true)
    }

    /// Takes the next pushes to the same sockets. When there are none, the caller is no longer the sender.
    fn next(&self) -> Option<Vec<WaitingPush>> {
        let mut state = self.lock();
        let Some(first) = state.waiting.pop_front() else {
            state.is_sending = false;
            return None;
        };
        let mut bytes = first.push.data.get().len();
        let mut together = vec![first];
        while let Some(next) = state.waiting.pop_front_if(|next| {
            bytes += next.push.data.get().len();
            bytes <= TOGETHER_BYTES_MAX && next.push.goes_with(&together[0].push)
        }) {
            together.push(next);
        }
        Some(together)
    }

    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The current sender.
struct PushTask {
    queue: PushQueue,
    run: Option<PushRun>,
    is_done: bool,
}

/// Pushes on their way to the same sockets.
struct PushRun {
    delivery: PushDelivery,
    sockets: vec::IntoIter<SocketRef>,
    count: usize,
    sent: Vec<oneshot::Sender<usize>>,
}

impl PushTask {
    fn new(queue: PushQueue) -> Self {
        Self {
            queue,
            run: None,
            is_done: false,
        }
    }

    async fn run(mut self) {
        while self.has_next() {
            task::yield_now().await;
            let mut left = SOCKETS_PER_YIELD;
            while left > 0 && self.has_next() {
                // A look-up counts too, even if it finds no socket.
                left -= 1;
                self.run = self.run.take().and_then(|run| run.advance(&mut left));
            }
        }
    }

    /// Takes the next pushes if none are under way. Returns whether anything is left to send; if not, this is no
    /// longer the sender.
    fn has_next(&mut self) -> bool {
        if self.run.is_none() && !self.is_done {
            self.run = self.next_run();
            self.is_done = self.run.is_none();
        }
        !self.is_done
    }

    fn next_run(&self) -> Option<PushRun> {
        let together = self.queue.turn.next()?;
        let (pushes, sent) = together.into_iter().map(|w| (w.push, w.sent)).unzip();
        Some(self.queue.run_of(pushes, sent))
    }
}

impl Drop for PushTask {
    /// If the runtime ends first, the waiting pushes are lost.
    fn drop(&mut self) {
        if !self.is_done {
            *self.queue.turn.lock() = TurnState::default();
        }
    }
}

impl PushRun {
    /// Resolves with the number of sockets once all were written to.
    fn answer(&mut self) -> oneshot::Receiver<usize> {
        let (sent, answer) = oneshot::channel();
        self.sent.push(sent);
        answer
    }

    /// Writes to at most `left` more sockets, and returns itself if some remain.
    fn advance(mut self, left: &mut usize) -> Option<Self> {
        for socket in self.sockets.by_ref().take(*left) {
            self.delivery.send(&socket);
            *left -= 1;
        }
        if self.sockets.len() > 0 {
            return Some(self);
        }
        for sent in self.sent {
            // The caller may no longer be waiting.
            let _: Result<(), usize> = sent.send(self.count);
        }
        None
    }
}

/// Emits a push through the engine.
async fn emit(mut sockets: BroadcastOperators, push: &Push) -> Pushed {
    let (event, data) = (&push.event, &*push.data);
    let count = sockets.clone().sockets().len();
    if push.is_volatile {
        sockets = sockets.volatile();
    }
    let acknowledged = match push.ack_timeout {
        None => {
            // A socket whose queue is full misses it: a push is delivered at most once.
            if let Err(error) = sockets.emit(event, data).await {
                tracing::debug!(%error, "a push missed some sockets");
            }
            None
        }
        Some(timeout) => match sockets
            .timeout(timeout)
            .emit_with_ack::<_, serde_json::Value>(event, data)
            .await
        {
            Ok(acks) => Some(acks.filter(|(_, ack)| ready(ack.is_ok())).count().await),
            Err(error) => {
                tracing::debug!(%error, "a push missed some sockets");
                Some(0)
            }
        },
    };
    Pushed {
        sockets: count,
        acknowledged,
    }
}
