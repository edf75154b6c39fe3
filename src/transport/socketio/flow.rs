//! What is under way between a session's connection and its tasks, counted and bounded.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::{
    limits::{
        CHANNEL_PACKETS, POLLING_PACKETS_MAX, REQUESTS_PAUSE, REQUESTS_RESUME, UNWRITTEN_BYTES_MAX,
    },
    until::until,
};

/// Packets left free in the engine's channel for its own: pings, acks of CONNECT, what a host emits.
const CHANNEL_PACKETS_SPARE: usize = 16;

/// The session is over: there is nobody to send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// The counters of one session. What we emit is counted until the connection has really taken
/// it; what the client asks is counted until it is answered.
#[derive(Debug, Default)]
pub(super) struct Flow {
    state: Mutex<State>,
    progress: Notify,
}

#[derive(Debug, Default)]
struct State {
    unsent_packets: usize,
    unsent_bytes: usize,
    unsent_pushes: usize,
    unsent_push_bytes: usize,
    waiting_requests: usize,
    websocket: bool,
    gone: bool,
    /// Feed sockets that were admitted, and those whose CONNECT was answered. The answers come in order.
    admitted: u32,
    let_in: u32,
    /// Those that were shown out, among them.
    shown_out: u32,
}

impl State {
    fn has_room(&self) -> bool {
        let packets_max = if self.websocket {
            CHANNEL_PACKETS - CHANNEL_PACKETS_SPARE
        } else {
            POLLING_PACKETS_MAX
        };
        self.unsent_packets < packets_max
            && self.unsent_bytes < UNWRITTEN_BYTES_MAX
            && self.has_room_in_channel()
    }

    fn has_room_for_push(&self) -> bool {
        self.unsent_push_bytes < UNWRITTEN_BYTES_MAX && self.has_room_in_channel()
    }

    fn has_room_in_channel(&self) -> bool {
        self.unsent_packets + self.unsent_pushes < CHANNEL_PACKETS - CHANNEL_PACKETS_SPARE
    }

    /// Whether the client knows of its latest feed socket, which is still there.
    fn is_in(&self) -> bool {
        self.let_in == self.admitted && self.shown_out < self.admitted
    }
}

impl Flow {
    /// Waits until another packet may be emitted. Cancel-safe.
    pub(super) async fn room(&self) -> Result<(), Gone> {
        self.wait_for(State::has_room).await
    }

    /// Waits until a feed socket's client knows of it, on a WebSocket: from then on messages need not go
    /// through the engine. Cancel-safe.
    pub(super) async fn lets_in(&self, admission: u32) -> Result<(), Gone> {
        self.wait_for(|state| !state.websocket || state.let_in >= admission)
            .await
    }

    /// Waits until everything emitted is on its way. Cancel-safe.
    pub(super) async fn flushed(&self) -> Result<(), Gone> {
        self.wait_for(|state| state.unsent_packets == 0).await
    }

    /// Waits until the session is over. Cancel-safe.
    pub(super) async fn gone(&self) {
        // Never true, so only the end of the session ends the wait.
        let _: Result<(), Gone> = self.wait_for(|_| false).await;
    }

    /// Waits until something was sent, counted from the call and not from the first poll: so a
    /// full channel can be seen first and no wake-up is missed.
    pub(super) fn sent_more(&self) -> impl Future<Output = ()> + '_ {
        self.progress.notified()
    }

    async fn wait_for(&self, done: impl Fn(&State) -> bool) -> Result<(), Gone> {
        let look = || {
            let state = self.lock();
            match state.gone {
                true => Some(Err(Gone)),
                false => done(&state).then_some(Ok(())),
            }
        };
        until(&self.progress, look).await
    }

    /// A feed socket was admitted: its number. Its CONNECT will be answered.
    pub(super) fn admit(&self) -> u32 {
        let mut state = self.lock();
        state.admitted += 1;
        state.admitted
    }

    /// The answer to a CONNECT is on its way.
    pub(super) fn let_in(&self) {
        self.lock().let_in += 1;
    }

    /// A DISCONNECT is on its way.
    pub(super) fn showed_out(&self) {
        let mut state = self.lock();
        state.shown_out = state.let_in;
    }

    /// Whether a feed socket's client knows of it and has everything that was emitted: then, and on a
    /// WebSocket, a message need not go through the engine to come after it.
    pub(super) fn is_clear(&self, admission: u32) -> bool {
        let state = self.lock();
        let is_latest = admission == state.admitted;
        state.websocket && !state.gone && state.is_in() && is_latest && state.unsent_packets == 0
    }

    /// Whether a push need not go through the engine to come after those before it.
    pub(super) fn is_clear_for_push(&self) -> bool {
        let state = self.lock();
        state.websocket && !state.gone && state.is_in() && state.unsent_pushes == 0
    }

    /// A push is about to be handed to the engine; false if there is no room for it.
    pub(super) fn push_emitted(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let has_room = state.has_room_for_push();
        if has_room {
            state.unsent_pushes += 1;
            state.unsent_push_bytes += bytes;
        }
        has_room
    }

    /// Pushes that were counted were taken, or could not be handed over.
    pub(super) fn pushes_gone(&self, pushes: usize, bytes: usize) {
        let mut state = self.lock();
        state.unsent_pushes = state.unsent_pushes.saturating_sub(pushes);
        state.unsent_push_bytes = match state.unsent_pushes {
            0 => 0,
            _ => state.unsent_push_bytes.saturating_sub(bytes),
        };
    }

    /// A packet was handed to the engine.
    pub(super) fn emitted(&self, bytes: usize) {
        let mut state = self.lock();
        state.unsent_packets += 1;
        state.unsent_bytes += bytes;
    }

    /// A packet that was counted could not be handed over.
    pub(super) fn not_emitted(&self, bytes: usize) {
        let mut state = self.lock();
        state.unsent_packets = state.unsent_packets.saturating_sub(1);
        state.unsent_bytes = state.unsent_bytes.saturating_sub(bytes);
    }

    /// Packets were taken by the kernel, or by a polling response; none at all means that packets of
    /// others made room in the engine's channel. Saturating, since a host may emit what looks like ours.
    pub(super) fn sent(&self, packets: usize, bytes: usize) {
        {
            let mut state = self.lock();
            state.unsent_packets = state.unsent_packets.saturating_sub(packets);
            state.unsent_bytes = state.unsent_bytes.saturating_sub(bytes);
            if state.unsent_packets == 0 {
                state.unsent_bytes = 0;
            }
        }
        self.progress.notify_waiters();
    }

    /// The session now writes to a WebSocket.
    pub(super) fn set_websocket(&self) {
        self.lock().websocket = true;
        self.progress.notify_waiters();
    }

    /// The session is over.
    pub(super) fn end(&self) {
        self.lock().gone = true;
        self.progress.notify_waiters();
    }

    /// A request waits to be answered.
    pub(super) fn request_waits(&self) {
        self.lock().waiting_requests += 1;
    }

    /// A request left the mailbox: whether reading, if it paused, should start again.
    pub(super) fn request_taken(&self) -> bool {
        let resume = {
            let mut state = self.lock();
            state.waiting_requests = state.waiting_requests.saturating_sub(1);
            state.waiting_requests == REQUESTS_RESUME
        };
        self.progress.notify_waiters();
        resume
    }

    /// The mailbox is gone with its requests.
    pub(super) fn forget_requests(&self) {
        self.lock().waiting_requests = 0;
        self.progress.notify_waiters();
    }

    /// Whether so many requests wait that no more should be read.
    pub(super) fn is_reading_paused(&self) -> bool {
        self.lock().waiting_requests >= REQUESTS_PAUSE
    }

    /// Waits until another batch of requests may be read. Cancel-safe.
    pub(super) async fn may_read(&self) -> Result<(), Gone> {
        self.wait_for(|state| state.waiting_requests <= REQUESTS_RESUME)
            .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it counts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{pin::pin, task::Poll};

    fn pending<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(future.poll(&mut cx), Poll::Pending)
    }

    #[test]
    fn a_large_packet_takes_all_room_until_it_is_written() {
        let flow = Flow::default();
        flow.set_websocket();
        flow.emitted(UNWRITTEN_BYTES_MAX);
        let mut room = pin!(flow.room());
        assert!(pending(room.as_mut()));
        flow.sent(1, UNWRITTEN_BYTES_MAX);
        assert!(!pending(room.as_mut()));
    }

    #[test]
    fn the_way_is_clear_for_the_latest_socket_alone_and_once_its_client_knows_of_it() {
        let flow = Flow::default();
        let first = flow.admit();
        flow.let_in();
        assert!(!flow.is_clear(first), "not on a WebSocket yet");
        flow.set_websocket();
        assert!(flow.is_clear(first));
        let second = flow.admit();
        assert!(!flow.is_clear(first) && !flow.is_clear(second));
        flow.let_in();
        assert!(!flow.is_clear(first) && flow.is_clear(second));
        flow.showed_out();
        assert!(!flow.is_clear(second));
    }

    #[test]
    fn polling_holds_sixteen_packets_and_a_websocket_more() {
        let flow = Flow::default();
        (0..POLLING_PACKETS_MAX).for_each(|_| flow.emitted(1));
        assert!(pending(pin!(flow.room())));
        flow.set_websocket();
        assert!(!pending(pin!(flow.room())));
    }

    #[test]
    fn pushes_leave_room_for_the_engines_own_packets() {
        let flow = Flow::default();
        flow.set_websocket();
        let pushed = (0..CHANNEL_PACKETS)
            .filter(|_| flow.push_emitted(1))
            .count();
        assert_eq!(pushed, CHANNEL_PACKETS - CHANNEL_PACKETS_SPARE);
        assert!(pending(pin!(flow.room())), "for the feed as well");
        flow.pushes_gone(1, 1);
        assert!(!pending(pin!(flow.room())));
        assert!(flow.push_emitted(1) && !flow.push_emitted(1));
    }

    #[test]
    fn large_pushes_do_not_pile_up() {
        let flow = Flow::default();
        flow.set_websocket();
        assert!(flow.push_emitted(UNWRITTEN_BYTES_MAX) && !flow.push_emitted(1));
        flow.pushes_gone(1, UNWRITTEN_BYTES_MAX);
        assert!(flow.push_emitted(1));
    }

    #[test]
    fn the_end_wakes_whoever_waits() {
        let flow = Flow::default();
        flow.emitted(UNWRITTEN_BYTES_MAX);
        let (mut room, mut gone) = (pin!(flow.room()), pin!(flow.gone()));
        assert!(pending(room.as_mut()) && pending(gone.as_mut()));
        flow.end();
        assert!(!pending(room) && !pending(gone));
    }

    #[test]
    fn packets_of_others_cannot_upset_the_count() {
        let flow = Flow::default();
        flow.emitted(10);
        flow.pushes_gone(2, 1000);
        flow.sent(3, 1000);
        flow.emitted(UNWRITTEN_BYTES_MAX);
        assert!(pending(pin!(flow.room())));
    }
}
