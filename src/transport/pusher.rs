//! Sends pushes: those to the feed's namespace in turn, so that pushes which wait for theirs go out together.

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

use super::{
    push::{FEED, Push, PushTo, Pushed},
    socketio::Delivery,
};
use crate::domain::Invalid;

/// Sockets that are written to before others on the runtime get their turn: about two milliseconds.
const SOCKETS_AT_ONCE: usize = 256;
/// Pushes that wait for their turn, at most: 16 MiB of data. Who comes then waits for a place.
const WAITING_MAX: usize = 256;
/// The most data that goes out together: what a socket may leave unwritten.
const TOGETHER_BYTES_MAX: usize = Push::DATA_BYTES_MAX;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pusher {
    io: SocketIo,
    turns: Arc<Turns>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Turns(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Whether somebody takes out what waits.
    is_sending: bool,
}

/// A push that waits for its turn.
struct Waiting {
    push: Push,
    /// Gets the number of sockets.
    sent: oneshot::Sender<usize>,
    #[expect(
        dead_code,
        reason = "held, not read: dropping it makes room for another"
    )]
    place: OwnedSemaphorePermit,
}

impl Pusher {
    pub(crate) fn new(io: SocketIo) -> Self {
        Self {
            io,
            turns: Arc::default(),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
        }
    }

    /// Sends it. When it is cancelled, it may be sent or not; where it waits for acknowledgements, some sockets
    /// may have it and others miss it.
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
            let message = "nobody has registered this namespace; the feed's is /feed";
            return Err(Invalid::new("unknown_namespace", message));
        };
        Ok(emit(sockets, &push).await)
    }

    /// Whom it is for; `None` where nobody has registered its namespace.
    fn sockets(&self, push: &Push) -> Option<BroadcastOperators> {
        let sockets = self.io.of(&push.namespace)?;
        Some(match &push.to {
            PushTo::Account(account) => sockets.to(format!("account:{account}")),
            PushTo::Subject(subject) => sockets.to(format!("subject:{subject}")),
            PushTo::Room(room) => sockets.to(room.clone()),
            PushTo::All => sockets,
        })
    }

    /// Sends it in its turn: the number of sockets.
    async fn send(&self, push: Push) -> usize {
        if !self.turns.begin() {
            return self.wait(push).await;
        }
        let mut sending = Sending::new(self.clone());
        // Few sockets are written to here and now. What takes longer must not end with its caller.
        let run = self.run(vec![push], Vec::new());
        let sockets = run.count;
        sending.run = run.go_on(&mut { SOCKETS_AT_ONCE });
        let answer = sending.run.as_mut().map(Run::answer);
        if sending.has_next() {
            // Writing must not look blocked because the task has used its budget up: it yields by itself.
            tokio::spawn(task::unconstrained(sending.run()));
        }
        match answer {
            Some(answer) => answer.await.unwrap_or_default(),
            None => sockets,
        }
    }

    /// Leaves it to whoever is sending.
    async fn wait(&self, push: Push) -> usize {
        // With a budget it could look as if there were no place, and who came later would be before it.
        let place = task::unconstrained(Arc::clone(&self.places).acquire_owned());
        let place = place.await.expect("it is never closed");
        let (sent, answer) = oneshot::channel();
        if self.turns.put(Waiting { push, sent, place }) {
            tokio::spawn(task::unconstrained(Sending::new(self.clone()).run()));
        }
        // None comes where the runtime has ended.
        answer.await.unwrap_or_default()
    }

    /// Those that go to the sockets of the first.
    fn run(&self, pushes: Vec<Push>, sent: Vec<oneshot::Sender<usize>>) -> Run {
        let sockets = self.sockets(&pushes[0]);
        let sockets = sockets.map_or_else(Vec::new, BroadcastOperators::sockets);
        Run {
            delivery: Delivery::new(pushes),
            count: sockets.len(),
            sockets: sockets.into_iter(),
            sent,
        }
    }
}

impl Turns {
    /// Whether nobody is sending: the caller does from now on.
    fn begin(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_sending, true)
    }

    /// Whether nobody takes it out: the caller has to.
    fn put(&self, waiting: Waiting) -> bool {
        let mut state = self.lock();
        state.waiting.push_back(waiting);
        !std::mem::replace(&mut state.is_sending, true)
    }

    /// Those that come next and go to the same sockets; where there are none, nobody is sending any more.
    fn next(&self) -> Option<Vec<Waiting>> {
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever takes out what waits.
struct Sending {
    pusher: Pusher,
    run: Option<Run>,
    is_done: bool,
}

/// Pushes that go to the same sockets.
struct Run {
    delivery: Delivery,
    sockets: vec::IntoIter<SocketRef>,
    count: usize,
    sent: Vec<oneshot::Sender<usize>>,
}

impl Sending {
    fn new(pusher: Pusher) -> Self {
        Self {
            pusher,
            run: None,
            is_done: false,
        }
    }

    async fn run(mut self) {
        while self.has_next() {
            task::yield_now().await;
            let mut left = SOCKETS_AT_ONCE;
            while left > 0 && self.has_next() {
                // A look-up costs something too, where it finds nobody.
                left -= 1;
                self.run = self.run.take().and_then(|run| run.go_on(&mut left));
            }
        }
    }

    /// Takes out what comes next, unless it is at something: whether anything is left to send. Where nothing is,
    /// nobody is sending any more.
    fn has_next(&mut self) -> bool {
        if self.run.is_none() && !self.is_done {
            self.run = self.next_run();
            self.is_done = self.run.is_none();
        }
        !self.is_done
    }

    fn next_run(&self) -> Option<Run> {
        let together = self.pusher.turns.next()?;
        let (pushes, sent) = together.into_iter().map(|w| (w.push, w.sent)).unzip();
        Some(self.pusher.run(pushes, sent))
    }
}

impl Drop for Sending {
    /// Where the runtime ends before it is done, what waits is lost.
    fn drop(&mut self) {
        if !self.is_done {
            *self.pusher.turns.lock() = State::default();
        }
    }
}

impl Run {
    /// Resolves with the number of sockets once all have been sent to.
    fn answer(&mut self) -> oneshot::Receiver<usize> {
        let (sent, answer) = oneshot::channel();
        self.sent.push(sent);
        answer
    }

    /// Sends to so many sockets more: what is left of it.
    fn go_on(mut self, left: &mut usize) -> Option<Self> {
        for socket in self.sockets.by_ref().take(*left) {
            self.delivery.send(&socket);
            *left -= 1;
        }
        if self.sockets.len() > 0 {
            return Some(self);
        }
        for sent in self.sent {
            // Who does not wait for it any more need not know.
            let _: Result<(), usize> = sent.send(self.count);
        }
        None
    }
}

/// Emits it through the engine.
async fn emit(mut sockets: BroadcastOperators, push: &Push) -> Pushed {
    let (event, data) = (&push.event, &*push.data);
    let count = sockets.clone().sockets().len();
    if push.is_volatile {
        sockets = sockets.volatile();
    }
    let acknowledged = match push.ack_timeout {
        None => {
            // A socket whose queue is full misses it: a push is at most once.
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
