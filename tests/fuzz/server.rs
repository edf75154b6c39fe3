use std::{
    net::SocketAddr,
    panic,
    sync::{
        Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tallycast::{
    Grant, Hub, Jwt, Limits, Memory, Quotas,
    access::{Accounts, Scopes, Signer},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tower::ServiceExt;

pub(crate) const SECRET: &str = "a secret of 32 bytes, not random";

/// The name of the server's threads, in which nothing may panic.
const THREAD: &str = "fuzzed-server";

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A server in this process, with a runtime of its own.
pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) hub: Hub,
    router: Router,
    pub(crate) token: String,
}

pub(crate) fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).thread_name(THREAD).enable_all();
    runtime.build().unwrap()
}

impl Server {
    /// A server whose quotas do not stand in the way.
    pub(crate) fn start() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let default = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let thread = std::thread::current();
                if thread
                    .name()
                    .is_some_and(|name| name == THREAD || name.starts_with("ledger"))
                {
                    PANICS.fetch_add(1, Ordering::Relaxed);
                }
                default(info);
            }));
        });
        let runtime = runtime();
        let quotas = Quotas {
            session_rate_per_address: u32::MAX / Quotas::BURST_SECONDS,
            request_rate_per_address: u32::MAX / Quotas::BURST_SECONDS,
            ..Quotas::default()
        };
        let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap())
            .quotas(quotas)
            .connect_timeout(Duration::from_secs(1));
        let hub = runtime.block_on(hub.build()).unwrap();
        let grant = Grant::new("fuzzer", Scopes::all(), Accounts::all());
        let grant = grant.expiring_at(Timestamp::now() + SignedDuration::from_hours(24));
        Self {
            router: hub.router(),
            hub,
            runtime,
            token: Signer::hs256(SECRET).unwrap().sign(&grant).unwrap(),
        }
    }

    /// Serves on a port of its own.
    pub(crate) fn listen(&self, router: Router, limits: Limits) -> SocketAddr {
        let listener = self
            .runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            connections_per_peer_max: Some(Limits::CONNECTIONS_MAX),
            ..limits
        };
        self.runtime
            .spawn(tallycast::serve(listener, router, limits).into_future());
        address
    }

    /// The response to a request that never leaves the process.
    pub(crate) async fn ask(
        &self,
        request: axum::http::request::Builder,
        body: &[u8],
    ) -> (u16, Value) {
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request: Request<Body> = request.body(Body::from(body.to_vec())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    /// The body of a response that does not end.
    pub(crate) async fn open(&self, path: &str) -> Body {
        let request = Request::get(path).header("authorization", format!("Bearer {}", self.token));
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await;
        let response = response.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    }

    /// No thread of any server of this process has panicked.
    pub(crate) fn assert_sound() {
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "the server has panicked");
    }
}
