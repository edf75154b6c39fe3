//! The part of the Socket.IO protocol (v5 over EIO=4) that a follower of a feed needs.

use std::{io, net::SocketAddr};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::{
    client::{Client, Cut, Patience, end},
    http::{self, Http, PATIENCE},
};

const PATH: &str = "/socket.io/?EIO=4&transport=";
const SEPARATOR: char = '\u{1e}';

/// What a packet requires of the client.
pub(crate) enum Reply {
    Nothing,
    Pong,
    /// The server has sent `closing`.
    Closed,
}

impl Client {
    /// The CONNECT to `/feed`, from the stored position.
    pub(crate) fn connect_packet(&self) -> String {
        let mut auth = json!({ "token": self.token });
        if let Some(position) = &self.fold.position {
            auth["after"] = json!(position);
        }
        format!("40/feed,{auth}")
    }

    /// Handles one Engine.IO packet.
    pub(crate) fn take(&mut self, packet: &str) -> Reply {
        self.fold.watch(packet.as_bytes());
        if let Some(event) = packet.strip_prefix("42/feed,") {
            match serde_json::from_str::<(String, Value)>(event) {
                Ok((name, message)) if message["type"] == json!(name) => self.fold.apply(&message),
                _ => self.fold.fault(format!("an unreadable event: {event}")),
            }
            return Reply::Nothing;
        }
        match packet {
            "2" => return Reply::Pong,
            "1" | "41/feed," | "41/feed" => return Reply::Closed,
            _ if packet.starts_with("44") => self.fold.fault(format!("refused: {packet}")),
            _ if packet.starts_with('0') || packet.starts_with("40") || packet == "6" => {}
            _ => self.fold.fault(format!("an unknown packet: {packet}")),
        }
        Reply::Nothing
    }
}

/// A WebSocket from the beginning.
pub(crate) async fn websocket(
    client: &mut Client,
    server: SocketAddr,
    patience: &mut Patience,
    cut: Cut,
) -> io::Result<()> {
    let stream = http::connect(server, client.from).await?;
    let mut socket = open(stream, server, "").await?;
    if cut == Cut::Halfway {
        // The upgrade is done, the namespace is not.
        return end(socket.into_inner(), cut).await;
    }
    send(&mut socket, client.connect_packet()).await?;
    read(client, &mut socket, patience).await?;
    end(socket.into_inner(), cut).await
}

/// Opens a WebSocket; `query` may name a session.
pub(crate) async fn open(
    stream: TcpStream,
    server: SocketAddr,
    query: &str,
) -> io::Result<WebSocketStream<TcpStream>> {
    let url = format!("ws://{server}{PATH}websocket{query}");
    let opening = timeout(PATIENCE, client_async(url, stream)).await?;
    opening.map(|(socket, _)| socket).map_err(io::Error::other)
}

pub(crate) async fn send(
    socket: &mut WebSocketStream<TcpStream>,
    packet: String,
) -> io::Result<()> {
    timeout(PATIENCE, socket.send(Message::text(packet)))
        .await?
        .map_err(io::Error::other)
}

/// Reads and applies until `until`, or until the client is done.
pub(crate) async fn read(
    client: &mut Client,
    socket: &mut WebSocketStream<TcpStream>,
    patience: &mut Patience,
) -> io::Result<()> {
    while !client.is_done() {
        let Some(message) = patience.wait(socket.next()).await else {
            return Ok(());
        };
        let packet = match message {
            Some(Ok(Message::Text(packet))) => packet,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            _ => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match client.take(&packet) {
            Reply::Nothing => {}
            Reply::Pong => send(socket, "3".to_owned()).await?,
            Reply::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
    Ok(())
}

/// A session over HTTP requests: one that waits, one that sends.
struct Polling {
    reads: Http,
    writes: Http,
    sid: String,
}

impl Polling {
    async fn open(client: &Client, server: SocketAddr) -> io::Result<Self> {
        // Polling clients send no token with their requests; it is in the CONNECT.
        let mut reads = Http::connect(server, client.from, "").await?;
        let answer = reads.get(&format!("{PATH}polling")).await?;
        let text = answer.text();
        let open: Value = text.strip_prefix('0').map_or(Value::Null, |open| {
            serde_json::from_str(open).unwrap_or_default()
        });
        let sid = open["sid"]
            .as_str()
            .ok_or_else(|| io::Error::other(text.clone()))?
            .to_owned();
        let writes = Http::connect(server, client.from, "").await?;
        let mut polling = Self { reads, writes, sid };
        polling.post(&client.connect_packet()).await?;
        Ok(polling)
    }

    async fn post(&mut self, packet: &str) -> io::Result<()> {
        let path = format!("{PATH}polling&sid={}", self.sid);
        let answer = self
            .writes
            .post(&path, "text/plain;charset=UTF-8", packet.as_bytes())
            .await?;
        ok(answer.status)
    }

    /// One poll; returns its packets.
    async fn get(&mut self) -> io::Result<Vec<String>> {
        let answer = self
            .reads
            .get(&format!("{PATH}polling&sid={}", self.sid))
            .await?;
        ok(answer.status)?;
        Ok(answer.text().split(SEPARATOR).map(str::to_owned).collect())
    }
}

fn ok(status: u16) -> io::Result<()> {
    match status {
        200 => Ok(()),
        status => Err(io::Error::other(format!("status {status}"))),
    }
}

/// Polls until `until`, or until the client is done.
pub(crate) async fn polling(
    client: &mut Client,
    server: SocketAddr,
    patience: &mut Patience,
    cut: Cut,
) -> io::Result<()> {
    let mut polling = Polling::open(client, server).await?;
    sleep(client.nap).await;
    while !client.is_done() {
        let Some(packets) = patience.wait(polling.get()).await else {
            break;
        };
        for packet in packets? {
            match client.take(&packet) {
                Reply::Nothing => {}
                Reply::Pong => polling.post("3").await?,
                Reply::Closed => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
    }
    // Halfway: a POST that is interrupted. A poll in progress is cut with it.
    if cut == Cut::Halfway {
        let path = format!("{PATH}polling&sid={}", polling.sid);
        let head = polling.writes.head("POST", &path, "text/plain", 20);
        tokio::io::AsyncWriteExt::write_all(&mut polling.writes.stream, head.as_bytes()).await?;
    }
    end(polling.reads.stream, cut).await?;
    end(polling.writes.stream, cut).await
}

/// Polling first, then the upgrade to a WebSocket, as stock clients do.
pub(crate) async fn upgrade(
    client: &mut Client,
    server: SocketAddr,
    patience: &mut Patience,
    cut: Cut,
) -> io::Result<()> {
    let mut polling = Polling::open(client, server).await?;
    for packet in polling.get().await? {
        client.take(&packet);
    }
    let stream = http::connect(server, client.from).await?;
    let mut socket = open(stream, server, &format!("&sid={}", polling.sid)).await?;
    send(&mut socket, "2probe".to_owned()).await?;
    // The poll under way ends while the probe is answered; its packets come first.
    let (packets, probed) = tokio::join!(
        patience.wait(polling.get()),
        timeout(PATIENCE, socket.next())
    );
    if !matches!(probed, Ok(Some(Ok(Message::Text(text)))) if text.as_str() == "3probe") {
        return Err(io::Error::other("the probe was not answered"));
    }
    let Some(packets) = packets else {
        // It was cut while both were open.
        end(polling.reads.stream, cut).await?;
        return end(socket.into_inner(), cut).await;
    };
    for packet in packets? {
        if matches!(client.take(&packet), Reply::Pong) {
            polling.post("3").await?;
        }
    }
    if cut == Cut::Halfway {
        end(polling.reads.stream, cut).await?;
        return end(socket.into_inner(), cut).await;
    }
    send(&mut socket, "5".to_owned()).await?;
    read(client, &mut socket, patience).await?;
    end(socket.into_inner(), cut).await
}
