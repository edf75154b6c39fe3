//! Server-Sent Events over a raw connection: checks each chunk of the body strictly.

use std::{collections::VecDeque, net::SocketAddr};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{SOON, feed_hub::ALICE};

pub(crate) fn get(path: &str, version: &str) -> String {
    format!(
        "GET /v1/feeds/alice/{path} HTTP/{version}\r\nHost: x\r\nAuthorization: Bearer {ALICE}\r\n\r\n"
    )
}

/// A client that follows alice by Server-Sent Events and parses the chunks of the body strictly.
pub(crate) struct RawSse<T = TcpStream> {
    pub(crate) io: T,
    pub(crate) head: String,
    bytes: Vec<u8>,
    events: VecDeque<(String, Value)>,
}

impl RawSse {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> RawSse<T> {
    pub(crate) async fn over(io: T) -> Self {
        Self::ask(io, &get("sse", "1.1")).await
    }

    /// Sends a request of its own.
    pub(crate) async fn ask(mut io: T, request: &str) -> Self {
        io.write_all(request.as_bytes()).await.unwrap();
        let mut sse = Self {
            io,
            head: String::new(),
            bytes: Vec::new(),
            events: VecDeque::new(),
        };
        let head = sse.take_to(b"\r\n\r\n").await.unwrap();
        sse.head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(sse.head.starts_with("http/1.1 200 "), "{}", sse.head);
        sse
    }

    /// The next event; `None` after the last chunk, where the connection ends.
    pub(crate) async fn event(&mut self) -> Option<(String, Value)> {
        while self.events.is_empty() {
            let chunk = self.chunk().await?;
            let text = String::from_utf8(chunk).unwrap();
            for event in text.split("\n\n").filter(|event| !event.is_empty()) {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let data = field("data: ").unwrap_or_else(|| panic!("{event}"));
                let name = field("event: ").unwrap().to_owned();
                self.events
                    .push_back((name, serde_json::from_str(data).unwrap()));
            }
        }
        self.events.pop_front()
    }

    pub(crate) async fn expect(&mut self, name: &str) -> Value {
        let (found, data) = self.event().await.unwrap();
        assert_eq!(found, name);
        data
    }

    pub(crate) async fn until_live(&mut self) {
        self.expect("snapshot").await;
        self.expect("live").await;
    }

    /// Reads updates up to `last`: none is missing, and none comes twice.
    pub(crate) async fn read_to(&mut self, mut offset: u64, last: u64) {
        while offset < last {
            let update = self.expect("update").await;
            assert_eq!(update["from"], offset + 1);
            offset = update["to"].as_u64().unwrap();
        }
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = String::from_utf8(self.take_to(b"\r\n").await?).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        while self.bytes.len() < size + 2 {
            assert_ne!(self.read().await, 0, "a chunk has an end");
        }
        let chunk: Vec<u8> = self.bytes.drain(..size).collect();
        assert_eq!(self.bytes.drain(..2).as_slice(), b"\r\n");
        if size > 0 {
            return Some(chunk);
        }
        assert_eq!((self.read().await, self.bytes.len()), (0, 0));
        None
    }

    /// All bytes up to and including `end`.
    async fn take_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.bytes.windows(end.len()).position(|some| some == end);
            if let Some(found) = found {
                return Some(self.bytes.drain(..found + end.len()).collect());
            }
            assert_ne!(self.read().await, 0, "{:?}", self.bytes);
        }
    }

    async fn read(&mut self) -> usize {
        let read = timeout(SOON, self.io.read_buf(&mut self.bytes));
        read.await.expect("bytes in time").unwrap()
    }
}
