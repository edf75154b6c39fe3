//! The hub's HTTP API and its admin listener, with a ledger in memory and an HTTP client.

use std::future::IntoFuture;

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tallycast::{
    Hub, HubBuilder, Jwt, Memory, Origins,
    feed::{Clock, ManualClock},
    ledger::Ledger,
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::{
    SOON,
    tokens::{SECRET, admin, producer, watcher},
};

pub(crate) struct ApiServer {
    pub(crate) address: String,
    pub(crate) admin: String,
    pub(crate) hub: Hub,
    client: reqwest::Client,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
}

impl ApiServer {
    pub(crate) async fn start() -> Self {
        Self::on(Memory::new()).await
    }

    pub(crate) async fn with_origins(origins: Origins) -> Self {
        Self::of(settings(Memory::new()).allowed_origins(origins)).await
    }

    pub(crate) async fn on(ledger: impl Ledger) -> Self {
        Self::of(settings(ledger)).await
    }

    /// A server with a manual clock, set to `now`.
    pub(crate) async fn at(now: &str) -> (Self, ManualClock) {
        let (clock, hand) = Clock::manual(now.parse().unwrap());
        (Self::of(settings(Memory::new()).clock(clock)).await, hand)
    }

    pub(crate) async fn of(settings: HubBuilder) -> Self {
        let hub = settings.build().await.unwrap();
        let mut tasks = Vec::new();
        let metrics = || "tallycast_up 1\n".to_owned();
        Self {
            address: serve(hub.router(), &mut tasks).await,
            admin: serve(hub.admin_router(metrics), &mut tasks).await,
            hub,
            client: reqwest::Client::new(),
            tasks,
        }
    }

    /// A request without a token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url).timeout(SOON)
    }

    /// A GET with a token that may watch every account.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path).bearer_auth(watcher())
    }

    /// A POST of events with a token that may record for every account.
    pub(crate) fn post(&self) -> RequestBuilder {
        self.request(Method::POST, "/v1/events")
            .bearer_auth(producer())
    }

    /// Replaces an account's profile.
    pub(crate) async fn edit(&self, account: &str, profile: &Value) -> Answer {
        answer(self.by_admin(Method::PUT, account).json(profile)).await
    }

    /// Erases an account.
    pub(crate) async fn erase(&self, account: &str) -> Answer {
        answer(self.by_admin(Method::DELETE, account)).await
    }

    /// A request for an account with a token that may do everything.
    pub(crate) fn by_admin(&self, method: Method, account: &str) -> RequestBuilder {
        let path = format!("/v1/accounts/{account}");
        self.request(method, &path).bearer_auth(admin())
    }

    /// Sends events as JSON.
    pub(crate) async fn record(&self, events: &Value) -> Answer {
        answer(self.post().json(events)).await
    }

    /// Sends any text as JSON.
    pub(crate) async fn record_text(&self, text: impl Into<String>) -> Answer {
        self.record_as("application/json", text).await
    }

    /// Sends any text as any media type.
    pub(crate) async fn record_as(&self, media_type: &str, text: impl Into<String>) -> Answer {
        let request = self.post().header("content-type", media_type);
        answer(request.body(text.into())).await
    }

    /// A GET on the admin listener.
    pub(crate) fn ask_admin(&self, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.admin);
        self.client.get(url).timeout(SOON)
    }

    /// How many entries an account has.
    pub(crate) async fn offset(&self, account: &str) -> u64 {
        let snapshot = answer(self.get(&format!("/v1/feeds/{account}"))).await;
        snapshot.body["offset"].as_u64().unwrap()
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn settings(ledger: impl Ledger) -> HubBuilder {
    Hub::builder(ledger, Jwt::hs256(SECRET).unwrap())
}

async fn serve(router: axum::Router, tasks: &mut Vec<JoinHandle<std::io::Result<()>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tasks.push(tokio::spawn(axum::serve(listener, router).into_future()));
    address
}

/// A status, the headers and the JSON of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The status and the stable code of a refusal; checks its format.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let status = self.status.as_u16();
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], "about:blank");
        assert!(self.body["title"].is_string());
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
        (status, self.body["code"].as_str().unwrap())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The results of a batch, each as `status` or `status code`.
    pub(crate) fn results(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text);
        let results = self.body["results"].as_array().unwrap();
        results
            .iter()
            .map(|result| {
                let status = result["status"].as_str().unwrap();
                match result["code"].as_str() {
                    Some(code) => {
                        assert!(!result["message"].as_str().unwrap().is_empty());
                        format!("{status} {code}")
                    }
                    None => status.to_owned(),
                }
            })
            .collect()
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    read(request.send().await.unwrap()).await
}

pub(crate) async fn read(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer {
        status,
        headers,
        text,
        body,
    }
}

/// An event of `account`.
pub(crate) fn event(id: &str, account: &str) -> Value {
    json!({ "id": id, "account": account, "amount": "1.50", "unit": "CNY" })
}
