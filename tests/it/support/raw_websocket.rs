//! A WebSocket of raw bytes: it sends any frame, valid or not, and checks received frames strictly.

use std::{io, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    SOON, attacked_server::assert_silent, feed_hub::ALICE, raw_http::connect_narrow,
};

/// The example key of RFC 6455, as a header.
pub(crate) const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// A masked client frame with any first byte.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x9a, 0x5c, 0xff, 0x01];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let mask = MASK.iter().cycle();
    frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A whole text message in one frame.
pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(FIN | TEXT, text.as_bytes())
}

/// A close frame with a code and a reason.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    masked(FIN | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A frame from the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }

    pub(crate) fn close_code(&self) -> Option<u16> {
        let code = self.payload.get(..2)?.try_into().unwrap();
        Some(u16::from_be_bytes(code))
    }
}

pub(crate) struct RawWebSocket {
    pub(crate) tcp: TcpStream,
}

impl RawWebSocket {
    /// Opens one for a path with a token.
    pub(crate) async fn open(address: SocketAddr, path: &str, token: &str) -> Self {
        Self::open_on(TcpStream::connect(address).await.unwrap(), path, token).await
    }

    /// Opens one with a small receive buffer.
    pub(crate) async fn open_narrow(address: SocketAddr, path: &str, token: &str) -> Self {
        Self::open_on(connect_narrow(address).await, path, token).await
    }

    async fn open_on(mut tcp: TcpStream, path: &str, token: &str) -> Self {
        tcp.set_nodelay(true).unwrap();
        let head = ask(&mut tcp, &request(path, token)).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self { tcp }
    }

    /// Opens alice's and reads past `live`.
    pub(crate) async fn live(address: SocketAddr) -> Self {
        let mut socket = Self::open(address, "/v1/feeds/alice/ws", ALICE).await;
        socket.until("live").await;
        socket
    }

    /// Sends bytes; the server may close the connection meanwhile.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _cut = timeout(SOON, self.tcp.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// The next frame, which must be valid for a server by RFC 6455; none at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let frame = timeout(SOON, read_frame(&mut self.tcp)).await;
        let frame = frame.expect("a frame in time").ok()?;
        assert_silent(&frame.payload);
        Some(frame)
    }

    /// The next message, past pings.
    pub(crate) async fn message(&mut self) -> Value {
        loop {
            let frame = self.frame().await.expect("a message, not the end");
            match frame.opcode {
                TEXT => return frame.json(),
                PING => {}
                other => panic!("{other} is no text: {frame:?}"),
            }
        }
    }

    /// The next message of this type.
    pub(crate) async fn until(&mut self, name: &str) -> Value {
        loop {
            let message = self.message().await;
            if message["type"] == name {
                return message;
            }
        }
    }

    /// Sends a request; returns its answer, past messages of the feed.
    pub(crate) async fn ask(&mut self, request: &str) -> Value {
        self.send(text(request)).await;
        loop {
            let message = self.message().await;
            if message.get("ok").is_some() {
                return message;
            }
        }
    }

    /// The close frame that comes next, past messages.
    pub(crate) async fn closed(&mut self) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.opcode == CLOSE {
                return Some(frame);
            }
        }
    }

    /// How the connection ends after the remaining bytes; an error means a reset.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        let mut rest = Vec::new();
        let end = timeout(SOON, self.tcp.read_to_end(&mut rest)).await;
        end.expect("an end in time").map(|_| ())
    }
}

/// Waits until the kernel reports a reset, without reading.
pub(crate) async fn cut(tcp: &TcpStream) {
    let reset = async {
        while tcp.take_error().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, reset).await.expect("cut in time");
}

/// The request that opens a WebSocket.
pub(crate) fn request(path: &str, token: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Sends a request and returns the head of the answer, with header names in lower case.
pub(crate) async fn ask(tcp: &mut TcpStream, request: &str) -> String {
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(SOON, tcp.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let lines = head.split("\r\n").map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

async fn read_frame(tcp: &mut TcpStream) -> io::Result<Frame> {
    let first = tcp.read_u8().await?;
    assert_eq!(first & 0xf0, FIN, "whole, and no reserved bit");
    let second = tcp.read_u8().await?;
    let length = match second {
        0..=125 => u64::from(second),
        126 => u64::from(tcp.read_u16().await?),
        127 => tcp.read_u64().await?,
        _ => panic!("a server does not mask"),
    };
    let shortest = match length {
        0..=125 => u8::try_from(length).unwrap(),
        126..=0xffff => 126,
        _ => 127,
    };
    assert_eq!(second, shortest, "the shortest form of {length}");
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    tcp.read_exact(&mut payload).await?;
    Ok(Frame {
        opcode: first & 0xf,
        payload,
    })
}
