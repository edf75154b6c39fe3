//! Flow control of one session: what is under way between its connection and its tasks, counted and bounded.
//!
//! ```text
//!                clear
//!  message ──────────────► direct write ─────────────────────────────┐
//!     │                          │ unwritten rest: unsent + 1        ▼
//!     │ not clear                └───────────────────────────► connection or poll
//!     ▼                                                           ▲     │
//!  wait_for_room ──► emitted: unsent + 1 ──► engine's channel ────┘     │ the kernel or the
//!     ▲                                                                 │ response took it
//!     └──────────────────────── sent: unsent - 1 ◄──────────────────────┘
//! ```
//!
//! A socket is clear when its session is on a WebSocket, its CONNECT was answered, and nothing of the feed is unsent.
//! So no message overtakes another. There is room while fewer than 48 packets (on polling 16) and less than 64 KiB
//! are unsent. Pushes are counted separately, but share the 48 packets of the engine's channel.
//!
//! In the other direction, reading from the client pauses while 64 requests wait, and resumes at 16. Packets that wait
//! for nothing are counted by the second: too many small ones are an error, and after too many others reading pauses.

use std::sync::Mutex;

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::wait::wait_until;
use crate::transport::{
    limits::{SMALL_FRAMES, SMALL_FRAMES_MAX},
    per_second::PerSecond,
    socketio::{
        engine::ClientPacket,
        limits::{
            CHANNEL_PACKETS, POLLING_PACKETS_MAX, REQUESTS_PAUSE, REQUESTS_RESUME,
            UNANSWERED_PACKETS_MAX, UNWRITTEN_BYTES_MAX,
        },
    },
    websocket::CloseCode,
};

/// Places kept free in the engine's channel for other packets: pings, answers to CONNECT, a host's own.
const CHANNEL_PACKETS_SPARE: usize = 16;

/// The session has ended: nothing can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Whether anything may be read from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Open,
    /// Until requests were answered: then the reader is woken.
    Paused,
    PausedUntil(Instant),
}

/// The counters of one session. What we emit is counted until the connection has taken it; requests are counted until
/// they are answered.
#[derive(Debug, Default)]
pub(crate) struct FlowControl {
    state: Mutex<FlowCounters>,
    progress: Notify,
}

#[derive(Debug, Default)]
struct FlowCounters {
    unsent_packets: usize,
    unsent_bytes: usize,
    unsent_pushes: usize,
    unsent_push_bytes: usize,
    waiting_requests: usize,
    small_frames: PerSecond,
    unanswered_packets: PerSecond,
    websocket: bool,
    gone: bool,
    /// How many feed sockets were admitted so far, and for how many the CONNECT was answered, in the same order.
    admitted: u32,
    connected: u32,
    /// How many of these were disconnected.
    disconnected: u32,
}

impl FlowCounters {
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

    /// Whether the latest feed socket is connected, and its client was notified.
    fn is_connected(&self) -> bool {
        self.connected == self.admitted && self.disconnected < self.admitted
    }
}

impl FlowControl {
    /// Waits until another packet may be emitted. Cancel-safe.
    pub(crate) async fn wait_for_room(&self) -> Result<(), Gone> {
        self.wait_for(FlowCounters::has_room).await
    }

    /// On a WebSocket, waits until the socket's CONNECT was answered: only then can messages be written directly.
    /// Cancel-safe.
    pub(crate) async fn connect_answered(&self, admission: u32) -> Result<(), Gone> {
        self.wait_for(|state| !state.websocket || state.connected >= admission)
            .await
    }

    /// Waits until the kernel has taken everything emitted. Cancel-safe.
    pub(crate) async fn flushed(&self) -> Result<(), Gone> {
        self.wait_for(|state| state.unsent_packets == 0).await
    }

    /// Waits until the session has ended. Cancel-safe.
    pub(crate) async fn ended(&self) {
        // The condition is never true, so only the end of the session ends the wait.
        let _: Result<(), Gone> = self.wait_for(|_| false).await;
    }

    /// Waits until something was sent, starting at the call and not at the first poll. So a caller that finds the
    /// channel full afterwards misses no wake-up.
    pub(crate) fn sent_more(&self) -> impl Future<Output = ()> + '_ {
        self.progress.notified()
    }

    async fn wait_for(&self, done: impl Fn(&FlowCounters) -> bool) -> Result<(), Gone> {
        let check = || {
            let state = self.lock();
            match state.gone {
                true => Some(Err(Gone)),
                false => done(&state).then_some(Ok(())),
            }
        };
        wait_until(&self.progress, check).await
    }

    /// Records that a feed socket was admitted, and returns its number.
    pub(crate) fn admit(&self) -> u32 {
        let mut state = self.lock();
        state.admitted += 1;
        state.admitted
    }

    /// Records that the answer to a CONNECT is on its way.
    pub(crate) fn record_connect(&self) {
        self.lock().connected += 1;
    }

    /// Records that a DISCONNECT is on its way.
    pub(crate) fn record_disconnect(&self) {
        let mut state = self.lock();
        state.disconnected = state.connected;
    }

    /// Whether a message of this feed socket can be written directly without overtaking anything: the socket is
    /// connected on a WebSocket, and nothing that was emitted to it is unsent.
    pub(crate) fn is_clear(&self, admission: u32) -> bool {
        let state = self.lock();
        let is_latest = admission == state.admitted;
        state.websocket
            && !state.gone
            && state.is_connected()
            && is_latest
            && state.unsent_packets == 0
    }

    /// Whether a push can be written directly without overtaking an earlier one.
    pub(crate) fn is_clear_for_push(&self) -> bool {
        let state = self.lock();
        state.websocket && !state.gone && state.is_connected() && state.unsent_pushes == 0
    }

    /// Counts a push that is about to be handed to the engine; false if there is no room for it.
    pub(crate) fn push_emitted(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let has_room = state.has_room_for_push();
        if has_room {
            state.unsent_pushes += 1;
            state.unsent_push_bytes += bytes;
        }
        has_room
    }

    /// Records that counted pushes were taken by the connection, or could not be handed over.
    pub(crate) fn pushes_gone(&self, pushes: usize, bytes: usize) {
        let mut state = self.lock();
        state.unsent_pushes = state.unsent_pushes.saturating_sub(pushes);
        state.unsent_push_bytes = match state.unsent_pushes {
            0 => 0,
            _ => state.unsent_push_bytes.saturating_sub(bytes),
        };
    }

    /// Counts a packet that is handed to the engine.
    pub(crate) fn emitted(&self, bytes: usize) {
        let mut state = self.lock();
        state.unsent_packets += 1;
        state.unsent_bytes += bytes;
    }

    /// Records that a counted packet could not be handed over.
    pub(crate) fn not_emitted(&self, bytes: usize) {
        let mut state = self.lock();
        state.unsent_packets = state.unsent_packets.saturating_sub(1);
        state.unsent_bytes = state.unsent_bytes.saturating_sub(bytes);
    }

    /// Records that packets were taken by the kernel, or by a polling response. Zero packets still mean that other
    /// packets have made room in the engine's channel. Saturating, since a host may emit packets that look like ours.
    pub(crate) fn sent(&self, packets: usize, bytes: usize) {
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

    /// Records that the session now writes to a WebSocket.
    pub(crate) fn set_websocket(&self) {
        self.lock().websocket = true;
        self.progress.notify_waiters();
    }

    /// Records that the session has ended.
    pub(crate) fn end(&self) {
        self.lock().gone = true;
        self.progress.notify_waiters();
    }

    /// Counts a request that waits.
    pub(crate) fn request_waits(&self) {
        self.lock().waiting_requests += 1;
    }

    /// Records that a request left the queue. Returns whether paused reading should resume.
    pub(crate) fn request_taken(&self) -> bool {
        let resume = {
            let mut state = self.lock();
            state.waiting_requests = state.waiting_requests.saturating_sub(1);
            state.waiting_requests == REQUESTS_RESUME
        };
        self.progress.notify_waiters();
        resume
    }

    /// Records that the queue was dropped with its requests.
    pub(crate) fn forget_requests(&self) {
        self.lock().waiting_requests = 0;
        self.progress.notify_waiters();
    }

    /// Counts a packet from the client.
    ///
    /// # Errors
    /// When it is a small one too many: the session must close with this code.
    pub(crate) fn count_packet(&self, packet: ClientPacket, now: Instant) -> Result<(), CloseCode> {
        match packet {
            ClientPacket::Small => return self.count_small_frame(now),
            ClientPacket::Unanswered => {
                self.lock().unanswered_packets.count(now);
            }
            ClientPacket::Request => {}
        }
        Ok(())
    }

    /// Counts a small frame of a WebSocket.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn count_small_frame(&self, now: Instant) -> Result<(), CloseCode> {
        match self.lock().small_frames.count(now) {
            0..=SMALL_FRAMES_MAX => Ok(()),
            _ => {
                SMALL_FRAMES.turned_away(SMALL_FRAMES_MAX as usize);
                Err(CloseCode::Policy)
            }
        }
    }

    /// Whether anything may be read from the client.
    pub(crate) fn reading(&self, now: Instant) -> Reading {
        let state = self.lock();
        if state.waiting_requests >= REQUESTS_PAUSE {
            return Reading::Paused;
        }
        let exceeded = &state.unanswered_packets;
        match exceeded.exceeded_until(UNANSWERED_PACKETS_MAX, now) {
            Some(end) => Reading::PausedUntil(end),
            None => Reading::Open,
        }
    }

    /// Waits until another batch of packets may be read. Cancel-safe.
    pub(crate) async fn may_read(&self) -> Result<(), Gone> {
        self.wait_for(|state| state.waiting_requests <= REQUESTS_RESUME)
            .await?;
        while let Reading::PausedUntil(end) = self.reading(Instant::now()) {
            sleep_until(end).await;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FlowCounters> {
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
        let flow = FlowControl::default();
        flow.set_websocket();
        flow.emitted(UNWRITTEN_BYTES_MAX);
        let mut room = pin!(flow.wait_for_room());
        assert!(pending(room.as_mut()));
        flow.sent(1, UNWRITTEN_BYTES_MAX);
        assert!(!pending(room.as_mut()));
    }

    #[test]
    fn only_the_latest_socket_is_clear_and_only_once_it_is_connected() {
        let flow = FlowControl::default();
        let first = flow.admit();
        flow.record_connect();
        assert!(!flow.is_clear(first), "not on a WebSocket yet");
        flow.set_websocket();
        assert!(flow.is_clear(first));
        let second = flow.admit();
        assert!(!flow.is_clear(first) && !flow.is_clear(second));
        flow.record_connect();
        assert!(!flow.is_clear(first) && flow.is_clear(second));
        flow.record_disconnect();
        assert!(!flow.is_clear(second));
    }

    #[test]
    fn polling_holds_sixteen_packets_and_a_websocket_more() {
        let flow = FlowControl::default();
        (0..POLLING_PACKETS_MAX).for_each(|_| flow.emitted(1));
        assert!(pending(pin!(flow.wait_for_room())));
        flow.set_websocket();
        assert!(!pending(pin!(flow.wait_for_room())));
    }

    #[test]
    fn pushes_leave_room_for_the_engines_own_packets() {
        let flow = FlowControl::default();
        flow.set_websocket();
        let pushed = (0..CHANNEL_PACKETS)
            .filter(|_| flow.push_emitted(1))
            .count();
        assert_eq!(pushed, CHANNEL_PACKETS - CHANNEL_PACKETS_SPARE);
        assert!(pending(pin!(flow.wait_for_room())), "for the feed as well");
        flow.pushes_gone(1, 1);
        assert!(!pending(pin!(flow.wait_for_room())));
        assert!(flow.push_emitted(1) && !flow.push_emitted(1));
    }

    #[test]
    fn large_pushes_do_not_pile_up() {
        let flow = FlowControl::default();
        flow.set_websocket();
        assert!(flow.push_emitted(UNWRITTEN_BYTES_MAX) && !flow.push_emitted(1));
        flow.pushes_gone(1, UNWRITTEN_BYTES_MAX);
        assert!(flow.push_emitted(1));
    }

    #[test]
    fn the_end_wakes_all_waiters() {
        let flow = FlowControl::default();
        flow.emitted(UNWRITTEN_BYTES_MAX);
        let (mut room, mut gone) = (pin!(flow.wait_for_room()), pin!(flow.ended()));
        assert!(pending(room.as_mut()) && pending(gone.as_mut()));
        flow.end();
        assert!(!pending(room) && !pending(gone));
    }

    #[test]
    fn foreign_packets_cannot_corrupt_the_count() {
        let flow = FlowControl::default();
        flow.emitted(10);
        flow.pushes_gone(2, 1000);
        flow.sent(3, 1000);
        flow.emitted(UNWRITTEN_BYTES_MAX);
        assert!(pending(pin!(flow.wait_for_room())));
    }
}
