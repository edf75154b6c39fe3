//! Direct delivery: updates are written to live clients while their own tasks sleep. What ends it, and that
//! clients see no difference.

use std::{sync::mpsc, time::Duration};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tallycast::{domain::ProfileChange, feed::Clock};
use tokio::{sync::oneshot, time::timeout};

use crate::support::{
    SOON,
    feed_client::FeedClient,
    feed_hub::{ALICE, account, host, record_meanwhile, settings, until_done},
    host::Host,
    scripted_listener::Script,
};

/// A client that has got an update since it is live, and so is on direct delivery.
async fn directly_delivered(host: &Host, auth: &Value) -> (FeedClient, Value) {
    let mut watcher = host.watch(auth).await;
    let mut offset = watcher.until_live().await["offset"].as_u64().unwrap();
    let mut position = Value::Null;
    for _ in 0..3 {
        offset += 1;
        host.record("alice", offset..=offset).await;
        let update = watcher.expect("update").await;
        assert_eq!(update["to"], offset);
        position = update["position"].clone();
    }
    (watcher, position)
}

/// Many clients of alice to which one task dispatches, in this order, and the last offset that all have.
async fn dispatched_crowd(host: &Host, script: &Script) -> (Vec<FeedClient>, u64) {
    let mut watchers = host.crowd("alice").await;
    let mut offset = 0;
    while !script.is_one_dispatching() {
        offset += 1;
        host.record("alice", offset..=offset).await;
        for watcher in &mut watchers {
            assert_eq!(watcher.expect("update").await["to"], offset);
        }
    }
    (watchers, offset)
}

async fn alice(host: &Host) -> FeedClient {
    directly_delivered(host, &json!({ "token": ALICE })).await.0
}

#[tokio::test]
async fn midnight_reaches_a_client_on_direct_delivery() {
    let (clock, hand) = Clock::manual("2026-10-31T23:59:59Z".parse().unwrap());
    let host = Host::start(settings().clock(clock).build().await.unwrap()).await;
    let mut alice = alice(&host).await;
    hand.advance(SignedDuration::from_secs(1));
    assert_eq!(alice.expect("rollover").await["offset"], 3);
    host.record("alice", 4..=5).await;
    assert_eq!(
        alice.expect("update").await["totals"][0]["day"]["start"],
        "2026-11-01"
    );
    assert_eq!(alice.expect("update").await["to"], 5);
}

#[tokio::test]
async fn an_edit_reaches_a_client_on_direct_delivery() {
    let host = host().await;
    let mut alice = alice(&host).await;
    for time_zone in ["Asia/Kathmandu", "UTC"] {
        let change = ProfileChange {
            time_zone: Some(time_zone.to_owned()),
            ..ProfileChange::default()
        };
        let edited = host.hub.feed().set_profile(&account("alice"), change).await;
        edited.unwrap();
        let snapshot = alice.expect("snapshot").await;
        assert_eq!(snapshot["reason"], "profile_changed");
        assert_eq!(snapshot["time_zone"], time_zone);
    }
    host.record("alice", 4..=4).await;
    assert_eq!(alice.expect("update").await["to"], 4);
}

#[tokio::test]
async fn an_erasure_reaches_a_client_on_direct_delivery() {
    let host = host().await;
    let mut alice = alice(&host).await;
    host.hub.feed().erase(&account("alice")).await.unwrap();
    host.record("alice", 4..=4).await;
    assert_eq!(alice.expect("closing").await["code"], "revoked");
    assert_eq!(alice.ws.closed().await, Some(1008));
}

/// The closing message has the client's true position, and nothing follows it.
#[tokio::test(flavor = "multi_thread")]
async fn an_expiring_client_on_direct_delivery_is_told_its_true_position() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let token = json!({ "token": "alice/alice/1000" });
    let (mut expiring, mut position) = directly_delivered(&host, &token).await;
    let end = async {
        loop {
            let (name, message) = expiring.event().await;
            match name.as_str() {
                "update" => position = message["position"].clone(),
                "auth_expiring" => {}
                _ => break (name, message),
            }
        }
    };
    let (name, closing) = until_done(&host, end).await;
    assert_eq!(
        (name.as_str(), &closing["code"]),
        ("closing", &json!("expired"))
    );
    assert_eq!(closing["position"], position);
    let next = expiring.ws.frame().await.unwrap().unwrap();
    assert!(next.is_close(), "{next:?}");
}

/// The dispatch stops right before this client, which is on its list.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_unsubscribes_during_a_dispatch_gets_nothing_more() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let (mut watchers, offset) = dispatched_crowd(&host, &script).await;
    let [first, second, ..] = watchers.as_mut_slice() else {
        unreachable!("a crowd is more than two");
    };
    let (stand, stands) = oneshot::channel();
    let (go_on, goes_on) = mpsc::channel();
    script.within(r#"["update""#, move || {
        stand.send(()).unwrap();
        goes_on.recv_timeout(SOON).expect("the signal to continue");
    });
    host.record("alice", offset + 1..=offset + 1).await;
    timeout(SOON, stands).await.unwrap().unwrap();
    let (before, answer) = second.ask("unsubscribe", &json!({})).await;
    assert_eq!((before, &answer["ok"]), (Vec::new(), &json!(true)));
    go_on.send(()).unwrap();
    // The next update is dispatched only after the last one was written to every client.
    host.record("alice", offset + 2..=offset + 2).await;
    for offset in [offset + 1, offset + 2] {
        assert_eq!(first.expect("update").await["to"], offset);
    }
    let (before, _) = second.ask("history", &json!({ "limit": 1 })).await;
    assert_eq!(before, Vec::<Value>::new());
}

/// A commit during the write of a closing message is dispatched next, before any other task runs.
#[test]
fn nothing_comes_after_closing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        // Tasks woken by other threads run first, and so those of the ledger's thread.
        .global_queue_interval(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let script = Script::willing();
        let host = script.serve(settings().build().await.unwrap()).await;
        let (mut watchers, offset) = dispatched_crowd(&host, &script).await;
        let hub = host.hub.clone();
        script.within(r#"["closing""#, move || {
            record_meanwhile(&hub, offset + 1..=offset + 1);
        });
        let leaving = async {
            for watcher in &mut watchers {
                // All but the first may have the update before it.
                while watcher.event().await.0 != "closing" {}
                let next = watcher.ws.frame().await.unwrap().unwrap();
                assert!(next.is_close(), "{next:?}");
                // Reading further answers the close.
                assert_eq!(watcher.ws.closed().await, None);
            }
        };
        tokio::join!(host.hub.drain(Duration::ZERO), leaving);
    });
}

/// Each closing message has the client's true position and nothing follows it, however much is recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_clients_on_direct_delivery_their_true_position() {
    let host = host().await;
    let mut crowd = Vec::new();
    for _ in 0..60 {
        crowd.push(directly_delivered(&host, &json!({ "token": ALICE })).await);
    }
    let leaving = crowd.iter_mut().map(|(watcher, position)| async move {
        let closing = loop {
            match watcher.event().await {
                (name, closing) if name == "closing" => break closing,
                (_, update) => *position = update["position"].clone(),
            }
        };
        assert_eq!(closing["position"], *position);
        let next = watcher.ws.frame().await.unwrap().unwrap();
        assert!(next.is_close(), "{next:?}");
    });
    let draining = async {
        let drain = host.hub.drain(Duration::from_secs(4));
        tokio::join!(drain, futures_util::future::join_all(leaving));
    };
    until_done(&host, draining).await;
}

#[tokio::test]
async fn updates_that_wait_together_leave_in_one_write() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let (mut watchers, last) = dispatched_crowd(&host, &script).await;
    let before = script.log().len();
    record_meanwhile(&host.hub, last + 1..=last + 10);
    for watcher in &mut watchers {
        for offset in last + 1..=last + 10 {
            assert_eq!(watcher.expect("update").await["to"], offset);
        }
    }
    assert_eq!(script.log().len(), before + watchers.len());
    // Entries beyond the tail come from the ledger.
    let mut offset = last + 10;
    let last = offset + 100;
    record_meanwhile(&host.hub, offset + 1..=last);
    let alice = &mut watchers[0];
    while offset < last {
        let update = alice.expect("update").await;
        assert_eq!(update["from"], offset + 1);
        offset = update["to"].as_u64().unwrap();
    }
}

#[tokio::test]
async fn a_snapshot_and_its_live_leave_in_one_write() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    host.record("alice", 1..=3).await;
    let mut watcher = host.watch(&json!({ "token": ALICE })).await;
    watcher.until_live().await;
    let has = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    let log = script.log();
    let snapshot = log.iter().find(|write| has(&write.bytes, r#"["snapshot""#));
    assert!(has(&snapshot.unwrap().bytes, r#"["live""#));
}

/// The runtime is blocked, and is not needed.
#[tokio::test]
async fn a_few_are_written_to_before_their_event_is_answered() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut alice = alice(&host).await;
    let before = script.log().len();
    record_meanwhile(&host.hub, 4..=6);
    assert_eq!(script.log().len(), before + 3);
    for offset in 4..=6 {
        assert_eq!(alice.expect("update").await["to"], offset);
    }
}

#[tokio::test]
async fn totals_that_wait_together_are_one() {
    let host = host().await;
    let _crowd = host.crowd("alice").await;
    let auth = json!({ "token": ALICE, "mode": "totals" });
    let (mut alice, _) = directly_delivered(&host, &auth).await;
    record_meanwhile(&host.hub, 4..=13);
    let update = alice.expect("update").await;
    assert_eq!((&update["from"], &update["to"]), (&json!(4), &json!(13)));
    assert_eq!(update["merged"], 10);
}

/// More clients than one dispatch serves, while others connect and disconnect.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_a_crowd_is_passed_over() {
    const CROWD: usize = 300;
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut watcher = host.watch(&json!({ "token": ALICE })).await;
        watcher.until_live().await;
        crowd.push(watcher);
    }
    let coming_and_going = async {
        loop {
            host.watch(&json!({ "token": ALICE }))
                .await
                .until_live()
                .await;
        }
    };
    let following = async {
        for offset in 1..=10 {
            host.record("alice", offset..=offset).await;
            for watcher in &mut crowd {
                assert_eq!(watcher.expect("update").await["to"], offset);
            }
        }
    };
    tokio::select! {
        () = coming_and_going => {}
        () = following => {}
    }
    assert!(
        script.direct_writes() > CROWD * 8,
        "{}",
        script.direct_writes()
    );
}

/// Direct delivery starts at the same time as a commit: neither misses the other.
#[tokio::test(flavor = "multi_thread")]
async fn direct_delivery_that_starts_beside_a_commit_includes_it() {
    let host = host().await;
    let mut alice = alice(&host).await;
    for offset in 4..=2_000 {
        host.record("alice", offset..=offset).await;
        assert_eq!(alice.expect("update").await["to"], offset);
    }
}

/// The dispatching task ends with its runtime, but the hub does not.
#[test]
fn a_hub_that_moves_to_another_runtime_goes_on() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let hub = first.block_on(async {
        let host = host().await;
        alice(&host).await;
        host.hub.clone()
    });
    drop(first);
    runtime().block_on(async {
        let host = Host::start(hub).await;
        let mut alice = alice(&host).await;
        host.record("alice", 7..=7).await;
        assert_eq!(alice.expect("update").await["to"], 7);
    });
}
