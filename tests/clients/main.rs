//! Real clients with the real binary: `make setup-tests`, then
//! `cargo test --test clients`.
//!
//! Each client is a small program in its own language (`js`, `python`, `rust` beside this file) that
//! prints what happens as lines of JSON. The facts below are the same for all of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backend;
mod browser;
mod customers;
mod erasure;
mod examples;
mod facts;
mod follower;
mod following;
mod guide;
mod guides;
mod handshake_example;
mod helper;
mod midnight;
mod moved_clock;
mod screen;
mod server;
mod stock;
mod tcp_proxy;

use follower::Follower;
use stock::{Library, Stock, Transport};

macro_rules! facts {
    ($client:ident = $library:ident over $transport:ident shows $($file:ident::$fact:ident)*) => {
        mod $client {
            $(#[tokio::test]
            async fn $fact() {
                use super::{Library, Stock, Transport};
                let (library, transport) = (Library::$library, Transport::$transport);
                super::$file::$fact(Stock { library, transport }).await;
            })*
        }
    };
    ($($client:ident = $library:ident over $transport:ident,)*) => {
        $(facts! {
            $client = $library over $transport shows
            facts::takes_the_transport_it_was_told
            facts::connects_and_gets_the_snapshot_then_live
            facts::follows_updates_in_order
            facts::resumes_after_a_cut
            facts::resumes_by_subscribing_on_connect
            facts::is_refused_without_a_token
            facts::does_not_find_another_account
            facts::is_answered_by_acks
            facts::subscribes_again_from_a_position
            facts::survives_a_killed_server
            facts::sees_corrections_as_entries
            erasure::two_clients_are_told_that_their_account_is_erased
            midnight::a_day_turns_and_budgets_are_crossed_through_killed_servers
            examples::watches_the_quickstart_drink_coffee
            examples::follows_a_checkout_at_the_root
            examples::follows_a_checkout_nested_under_live
            examples::is_let_in_by_a_hosts_own_keys
            examples::talks_in_a_hosts_own_namespace
        })*
    };
}

facts! {
    javascript_4_websocket = JavaScript4 over WebSocket,
    javascript_4_polling = JavaScript4 over Polling,
    javascript_4_upgrade = JavaScript4 over Upgrade,
    javascript_3_websocket = JavaScript3 over WebSocket,
    javascript_3_polling = JavaScript3 over Polling,
    javascript_3_upgrade = JavaScript3 over Upgrade,
    python_websocket = Python over WebSocket,
    python_polling = Python over Polling,
    python_upgrade = Python over Upgrade,
    rust_websocket = Rust over WebSocket,
    rust_polling = Rust over Polling,
    rust_upgrade = Rust over Upgrade,
}

// The server's calendar: one library is enough.
facts! {
    calendar_websocket = JavaScript4 over WebSocket shows midnight::a_day_of_25_hours_is_one_day
}
facts! {
    calendar_polling = JavaScript4 over Polling shows midnight::a_day_of_25_hours_is_one_day
}

/// The same for clients of the routes under `/v1/feeds`.
macro_rules! followers {
    ($client:ident = $follower:ident shows $($fact:ident)*) => {
        mod $client {
            $(#[tokio::test]
            async fn $fact() {
                super::following::$fact(super::Follower::$follower).await;
            })*
        }
    };
    ($($client:ident = $follower:ident,)*) => {
        $(followers! {
            $client = $follower shows
            connects_and_gets_the_snapshot_then_live
            follows_100_updates_in_order
            resumes_after_a_cut
            survives_a_killed_server
            is_refused_without_a_token
            does_not_find_another_account
        })*
    };
}

followers! {
    javascript_ws = Ws,
    javascript_websocket_node = WebSocketNode,
    javascript_eventsource = EventSource,
    javascript_eventsource_with_ticket = EventSourceWithTicket,
    javascript_event_source_polyfill = EventSourcePolyfill,
    javascript_reconnecting_eventsource = ReconnectingEventSource,
    python_websockets = Websockets,
    python_httpx_sse = HttpxSse,
    curl_sse = CurlSse,
    curl_stream = CurlStream,
    curl_polling = CurlPolling,
}
followers! { javascript_ws_tls = Ws shows follows_over_tls }
followers! { javascript_eventsource_tls = EventSource shows follows_over_tls }
