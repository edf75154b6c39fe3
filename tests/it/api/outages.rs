//! What callers see while the ledger or the authorizer does not work.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use axum::{body::Body, http::Request};
use serde_json::json;
use tallycast::{
    Authorize, Hub, Memory,
    access::Authorizing,
    ledger::{CommitError, Unavailable},
};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::support::{
    api_server::{ApiServer, answer, event},
    hook_ledger::HookLedger,
};

const WELL: u8 = 0;
const FULL: u8 = 1;
const BUSY: u8 = 2;
const UNKNOWN: u8 = 3;

/// A ledger whose commits fail as the test sets it.
struct Failing {
    ledger: HookLedger,
    how: Arc<AtomicU8>,
}

impl Failing {
    fn new() -> Self {
        let how = Arc::<AtomicU8>::default();
        let told = how.clone();
        let ledger = HookLedger::new(Arc::new(move || match told.load(Ordering::SeqCst) {
            FULL => Err(CommitError::RolledBack(Unavailable::DiskFull)),
            BUSY => Err(CommitError::RolledBack(Unavailable::Busy("locked".into()))),
            UNKNOWN => Err(CommitError::Unknown("input/output error".into())),
            _ => Ok(()),
        }));
        Self { ledger, how }
    }

    fn set(&self, how: u8) {
        self.how.store(how, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_full_disk_and_a_busy_ledger_ask_to_try_again_and_heal() {
    let ledger = Failing::new();
    let server = ApiServer::on(ledger.ledger.clone()).await;
    for (how, status, code) in [(FULL, 507, "disk_full"), (BUSY, 503, "busy")] {
        ledger.set(how);
        for body in [event("1", "alice"), json!([event("1", "alice")])] {
            let refused = server.record(&body).await;
            assert_eq!(refused.refusal(), (status, code));
            assert!(refused.header("retry-after").is_some());
        }
        assert_eq!(server.offset("alice").await, 0, "reads go on");
        let ready = answer(server.ask_admin("/health/ready")).await;
        assert_eq!(ready.status, 200, "it heals by itself");
    }
    ledger.set(WELL);
    assert_eq!(server.record(&event("1", "alice")).await.status, 201);
}

#[tokio::test]
async fn after_an_unknown_outcome_nothing_is_recorded_and_the_server_is_not_ready() {
    let ledger = Failing::new();
    let server = ApiServer::on(ledger.ledger.clone()).await;
    ledger.set(UNKNOWN);
    let unknown = server.record(&event("1", "alice")).await;
    assert_eq!(unknown.refusal(), (503, "ledger_failed"));
    ledger.set(WELL);
    let refused = server.record(&event("2", "alice")).await;
    assert_eq!(refused.refusal(), (503, "ledger_failed"));
    let ready = answer(server.ask_admin("/health/ready")).await;
    assert_eq!(ready.refusal(), (503, "ledger_failed"));
    let live = answer(server.ask_admin("/health/live")).await;
    assert_eq!(live.status, 200);
}

struct Silent;

impl Authorize for Silent {
    fn authorize<'a>(&'a self, _: &'a str) -> Authorizing<'a> {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_authorizer_does_not_hold_callers_for_ever() {
    let hub = Hub::builder(Memory::new(), Silent).build().await.unwrap();
    let request = Request::get("/v1/feeds/alice")
        .header("authorization", "Bearer x")
        .body(Body::empty())
        .unwrap();
    let answer = hub.router().oneshot(request);
    let answer = timeout(Duration::from_secs(11), answer).await;
    let refused = answer.expect("it gives up after 10 s").unwrap();
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
}
