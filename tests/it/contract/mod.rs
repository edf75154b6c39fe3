//! One contract: each fact holds on every transport that follows a feed.

mod facts;
mod schema;

use crate::support::follow_client::Transport;

/// One test of each fact for each of these transports.
macro_rules! facts {
    ($($transport:ident: $kind:ident { $($fact:ident)+ })+) => {
        $(mod $transport {
            use super::{facts, Transport};
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                facts::$fact(Transport::$kind).await;
            })+
        })+
    };
}

/// All facts, including those of connections that stay open.
macro_rules! open_transports {
    ($($transport:ident: $kind:ident)+) => {
        facts! { $($transport: $kind {
            replays_then_follows
            resumes_where_it_left
            moves_to_another_transport_in_the_middle
            a_slow_reader_loses_nothing
            another_account_is_invisible
            a_restart_keeps_order
            every_position_gets_what_it_should
            says_the_same_bytes_as_the_others
            an_erased_account_is_closed
            midnight_comes_by_itself
            a_conflated_reader_ends_in_the_same_state
            an_expired_grant_closes
            a_drain_sends_closing
            a_revoked_token_closes
            a_revoked_subject_closes
            a_disconnected_client_comes_back
        })+ }
    };
}

open_transports! {
    socketio_websocket: SocketIo
    socketio_polling: SocketIoPolling
    websocket: WebSocket
    sse: Sse
    stream: Stream
    iframe: Iframe
}

facts! {
    long_poll: LongPoll {
        replays_then_follows
        resumes_where_it_left
        moves_to_another_transport_in_the_middle
        a_slow_reader_loses_nothing
        another_account_is_invisible
        a_restart_keeps_order
        every_position_gets_what_it_should
        says_the_same_bytes_as_the_others
        midnight_comes_by_itself
    }
    short_poll: ShortPoll {
        replays_then_follows
        resumes_where_it_left
        moves_to_another_transport_in_the_middle
        a_slow_reader_loses_nothing
        another_account_is_invisible
        a_restart_keeps_order
        every_position_gets_what_it_should
        says_the_same_bytes_as_the_others
        midnight_comes_by_itself
    }
}
