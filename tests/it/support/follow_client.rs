//! A client for each transport that follows a feed; it returns each message's JSON unchanged.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json, value::RawValue};
use tokio::time::timeout;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::{
    SOON,
    engineio_client::{SEPARATOR, Ws},
};

/// The time between two short polls.
const POLL_PAUSE: Duration = Duration::from_millis(5);

/// A transport that follows a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    SocketIo,
    SocketIoPolling,
    WebSocket,
    Sse,
    LongPoll,
    ShortPoll,
    Stream,
    Iframe,
}

impl Transport {
    pub(crate) const ALL: [Self; 8] = [
        Self::SocketIo,
        Self::SocketIoPolling,
        Self::WebSocket,
        Self::Sse,
        Self::LongPoll,
        Self::ShortPoll,
        Self::Stream,
        Self::Iframe,
    ];

    /// Whether its connection stays open, with a `live` message and a closing message.
    pub(crate) fn stays_open(self) -> bool {
        !matches!(self, Self::LongPoll | Self::ShortPoll)
    }
}

/// What to follow, from where.
#[derive(Debug, Clone)]
pub(crate) struct FollowOptions {
    pub(crate) address: SocketAddr,
    pub(crate) account: String,
    pub(crate) token: String,
    pub(crate) after: Option<String>,
    pub(crate) mode: Option<&'static str>,
}

/// A client that follows a feed.
pub(crate) trait FollowClient: Send {
    /// The next message, unchanged; none when the connection has ended.
    fn next(&mut self) -> BoxFuture<'_, Option<String>>;
}

/// Follows, or returns the status or code of the refusal.
pub(crate) async fn follow(
    transport: Transport,
    options: &FollowOptions,
) -> Result<Box<dyn FollowClient>, String> {
    let url = |path: &str| options.url(path);
    Ok(match transport {
        Transport::SocketIo => Box::new(SocketIo::connect(options).await?),
        Transport::SocketIoPolling => Box::new(SocketIoPolling::connect(options).await?),
        Transport::WebSocket => Box::new(WebSocket::connect(options).await?),
        Transport::Sse => Box::new(Streamed::open(options, &url("/sse"), read_sse).await?),
        Transport::Stream => Box::new(Streamed::open(options, &url("/stream"), read_line).await?),
        Transport::Iframe => {
            let url = url("/iframe");
            let sign = if url.contains('?') { '&' } else { '?' };
            Box::new(
                Streamed::open(options, &format!("{url}{sign}callback=on"), read_script).await?,
            )
        }
        Transport::LongPoll => Box::new(Poll::begin(options, Some(5)).await?),
        Transport::ShortPoll => Box::new(Poll::begin(options, None).await?),
    })
}

impl FollowOptions {
    fn url(&self, path: &str) -> String {
        let base = format!("http://{}/v1/feeds/{}{path}", self.address, self.account);
        let after = self.after.as_ref().map(|after| format!("after={after}"));
        let mode = self.mode.map(|mode| format!("mode={mode}"));
        let query: Vec<String> = after.into_iter().chain(mode).collect();
        match query.is_empty() {
            true => base,
            false => format!("{base}?{}", query.join("&")),
        }
    }

    fn auth(&self) -> Value {
        let mut auth = json!({ "token": self.token, "account": self.account });
        if let Some(after) = &self.after {
            auth["after"] = json!(after);
        }
        if let Some(mode) = self.mode {
            auth["mode"] = json!(mode);
        }
        auth
    }
}

/// The response to a GET, or the status of its refusal.
async fn get(url: &str, token: &str) -> Result<Response, String> {
    let request = reqwest::Client::new().get(url).bearer_auth(token);
    let response = timeout(SOON, request.send()).await.unwrap();
    let response = response.map_err(|error| error.to_string())?;
    match response.status() {
        StatusCode::OK | StatusCode::NO_CONTENT => Ok(response),
        status => Err(status.as_u16().to_string()),
    }
}

struct SocketIo(Ws);

impl SocketIo {
    async fn connect(options: &FollowOptions) -> Result<Self, String> {
        let url = format!(
            "ws://{}/socket.io/?EIO=4&transport=websocket",
            options.address
        );
        let connected = timeout(SOON, connect_async(url)).await.unwrap();
        let (stream, _) = connected.map_err(|error| error.to_string())?;
        let mut ws = Ws { stream };
        assert!(ws.text().await.starts_with("0{"));
        let answer = ws.join(&format!("40/feed,{}", options.auth())).await;
        joined(&answer).map(|()| Self(ws))
    }
}

fn joined(answer: &str) -> Result<(), String> {
    match answer.strip_prefix("44/feed,") {
        None => Ok(()),
        Some(error) => {
            let error: Value = serde_json::from_str(error).unwrap();
            Err(error["message"].as_str().unwrap().to_owned())
        }
    }
}

/// The payload of an event packet, byte by byte.
fn payload(packet: &str) -> Option<String> {
    let (name, payload) = packet.strip_prefix("42/feed,[")?.split_once(',')?;
    let name: String = serde_json::from_str(name).unwrap();
    (name != "auth_expiring").then(|| payload.strip_suffix(']').unwrap().to_owned())
}

impl FollowClient for SocketIo {
    fn next(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async {
            loop {
                match self.0.frame().await {
                    Some(Ok(Message::Text(text))) if text.as_str() == "2" => self.0.send("3").await,
                    Some(Ok(Message::Text(text))) => {
                        if let Some(payload) = payload(&text) {
                            return Some(payload);
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        })
    }
}

struct SocketIoPolling {
    url: String,
    client: reqwest::Client,
    waiting: VecDeque<String>,
}

impl SocketIoPolling {
    async fn connect(options: &FollowOptions) -> Result<Self, String> {
        let url = format!(
            "http://{}/socket.io/?EIO=4&transport=polling",
            options.address
        );
        let client = reqwest::Client::new();
        let opened = client.get(&url).timeout(SOON).send().await;
        let opened = opened.map_err(|error| error.to_string())?;
        if opened.status() != StatusCode::OK {
            return Err(opened.status().as_u16().to_string());
        }
        let opened = opened.text().await.unwrap();
        let open: Value = serde_json::from_str(opened.strip_prefix('0').unwrap()).unwrap();
        let url = format!("{url}&sid={}", open["sid"].as_str().unwrap());
        let mut polling = Self {
            url,
            client,
            waiting: VecDeque::new(),
        };
        polling.post(format!("40/feed,{}", options.auth())).await;
        let answer = polling.packet().await.expect("an answer to CONNECT");
        joined(&answer).map(|()| polling)
    }

    async fn post(&self, body: String) {
        let sent = self.client.post(&self.url).body(body).timeout(SOON).send();
        sent.await.unwrap();
    }

    async fn packet(&mut self) -> Option<String> {
        loop {
            while let Some(packet) = self.waiting.pop_front() {
                match packet.as_str() {
                    "2" => self.post("3".to_owned()).await,
                    "1" => return None,
                    "6" => {}
                    _ => return Some(packet),
                }
            }
            let polled = self.client.get(&self.url).timeout(SOON).send().await.ok()?;
            if polled.status() != StatusCode::OK {
                return None;
            }
            let body = polled.text().await.ok()?;
            self.waiting
                .extend(body.split(SEPARATOR).map(str::to_owned));
        }
    }
}

impl FollowClient for SocketIoPolling {
    fn next(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async {
            loop {
                let packet = self.packet().await?;
                if let Some(payload) = payload(&packet) {
                    return Some(payload);
                }
            }
        })
    }
}

struct WebSocket(Ws);

impl WebSocket {
    async fn connect(options: &FollowOptions) -> Result<Self, String> {
        let url = options.url("/ws").replace("http://", "ws://");
        let mut request = url.into_client_request().unwrap();
        let token = format!("Bearer {}", options.token).try_into().unwrap();
        request.headers_mut().insert("authorization", token);
        match timeout(SOON, connect_async(request)).await.unwrap() {
            Ok((stream, _)) => Ok(Self(Ws { stream })),
            Err(tokio_tungstenite::tungstenite::Error::Http(refused)) => {
                Err(refused.status().as_u16().to_string())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl FollowClient for WebSocket {
    fn next(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async {
            loop {
                match self.0.frame().await {
                    Some(Ok(Message::Text(text))) if text.contains("\"auth_expiring\"") => {}
                    Some(Ok(Message::Text(text))) => return Some(text.as_str().to_owned()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        })
    }
}

/// A streamed response; `read` takes one message from its text, if there is a whole one.
struct Streamed {
    chunks: BoxStream<'static, reqwest::Result<Bytes>>,
    text: String,
    bytes: Vec<u8>,
    read: fn(&mut String) -> Option<String>,
}

impl Streamed {
    async fn open(
        options: &FollowOptions,
        url: &str,
        read: fn(&mut String) -> Option<String>,
    ) -> Result<Self, String> {
        let response = get(url, &options.token).await?;
        Ok(Self {
            chunks: response.bytes_stream().boxed(),
            text: String::new(),
            bytes: Vec::new(),
            read,
        })
    }
}

impl FollowClient for Streamed {
    fn next(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async {
            loop {
                if let Some(message) = (self.read)(&mut self.text) {
                    return Some(message);
                }
                let chunk = timeout(SOON, self.chunks.next())
                    .await
                    .expect("more in time");
                self.bytes.extend(chunk?.ok()?);
                // A chunk may end inside a character.
                let whole = match std::str::from_utf8(&self.bytes) {
                    Ok(text) => text.len(),
                    Err(error) => error.valid_up_to(),
                };
                let rest = self.bytes.split_off(whole);
                let whole = std::mem::replace(&mut self.bytes, rest);
                self.text.push_str(std::str::from_utf8(&whole).unwrap());
            }
        })
    }
}

/// Removes and returns the text up to `end`.
fn take_until(text: &mut String, end: &str) -> Option<String> {
    let at = text.find(end)?;
    let rest = text.split_off(at + end.len());
    let mut taken = std::mem::replace(text, rest);
    taken.truncate(at);
    Some(taken)
}

fn read_line(text: &mut String) -> Option<String> {
    loop {
        let line = take_until(text, "\n")?;
        if !line.is_empty() {
            return Some(line);
        }
    }
}

/// An event's data; its name and id must match the data.
fn read_sse(text: &mut String) -> Option<String> {
    loop {
        let event = take_until(text, "\n\n")?;
        let field = |name: &str| {
            let mut lines = event.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .map(str::to_owned)
        };
        let Some(data) = field("data: ") else {
            continue;
        };
        let json: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(field("event: ").unwrap(), json["type"].as_str().unwrap());
        if json["type"] != "closing" {
            assert_eq!(field("id: ").unwrap(), json["position"].as_str().unwrap());
        }
        return Some(data);
    }
}

/// The argument of the script's call.
fn read_script(text: &mut String) -> Option<String> {
    let script = take_until(text, "</script>")?;
    let (_, call) = script.split_once("<script>parent.on(").unwrap();
    let json = call.strip_suffix(')').unwrap();
    let raw: &RawValue = serde_json::from_str(json).unwrap();
    Some(without_escapes_of_scripts(raw.get()))
}

/// The JSON as the server had it before it was put into a script.
fn without_escapes_of_scripts(mut json: &str) -> String {
    let mut text = String::new();
    while let Some((before, escape)) = json.split_once('\\') {
        text.push_str(before);
        let escapes = [("u003c", "<"), ("u2028", "\u{2028}"), ("u2029", "\u{2029}")];
        let of_script = escapes.iter().find(|(name, _)| escape.starts_with(name));
        if let Some((name, meant)) = of_script {
            text.push_str(meant);
            json = &escape[name.len()..];
        } else {
            // An escape of JSON, which may be that of a backslash.
            text.push('\\');
            text.push_str(&escape[..1]);
            json = &escape[1..];
        }
    }
    text + json
}

/// Polls, long or short, from the position of the last answer.
struct Poll {
    options: FollowOptions,
    wait: Option<u32>,
    first: Option<String>,
}

impl Poll {
    async fn begin(options: &FollowOptions, wait: Option<u32>) -> Result<Self, String> {
        let mut poll = Self {
            options: options.clone(),
            wait,
            first: None,
        };
        poll.first = poll.ask().await?;
        Ok(poll)
    }

    async fn ask(&self) -> Result<Option<String>, String> {
        let mut url = self.options.url("");
        if let (Some(wait), Some(_)) = (self.wait, &self.options.after) {
            url = format!("{url}&wait={wait}");
        }
        let response = get(&url, &self.options.token).await?;
        let text = response.text().await.map_err(|error| error.to_string())?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

impl FollowClient for Poll {
    fn next(&mut self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async {
            loop {
                let message = match self.first.take() {
                    Some(first) => Some(first),
                    None => self.ask().await.ok()?,
                };
                if let Some(message) = message {
                    let json: Value = serde_json::from_str(&message).unwrap();
                    self.options.after = Some(json["position"].as_str().unwrap().to_owned());
                    return Some(message);
                }
                if self.wait.is_none() {
                    tokio::time::sleep(POLL_PAUSE).await;
                }
            }
        })
    }
}
