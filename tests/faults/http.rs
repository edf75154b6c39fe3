//! HTTP/1.1 written by hand: it can be cut at any byte, and it never retries.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// How long to wait for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One of many client addresses within 127.0.0.0/8.
pub(crate) fn address(number: u64) -> IpAddr {
    let bytes = u32::try_from(number % 60_000).expect("it is small") + 0x100;
    IpAddr::V4(Ipv4Addr::from_bits(0x7F01_0000 + bytes))
}

pub(crate) async fn connect(to: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    connect_with(to, from, None).await
}

/// Connects with a receive buffer of about `receive` bytes.
pub(crate) async fn connect_with(
    to: SocketAddr,
    from: IpAddr,
    receive: Option<u32>,
) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    if let Some(bytes) = receive {
        socket.set_recv_buffer_size(bytes)?;
    }
    let stream = timeout(PATIENCE, socket.connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection that is kept alive.
pub(crate) struct Http {
    pub(crate) stream: TcpStream,
    host: SocketAddr,
    token: String,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) async fn connect(to: SocketAddr, from: IpAddr, token: &str) -> io::Result<Self> {
        Ok(Self {
            stream: connect(to, from).await?,
            host: to,
            token: token.to_owned(),
            read: Vec::new(),
        })
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask("GET", path, "application/json", b"").await
    }

    pub(crate) async fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> io::Result<Answer> {
        self.ask("POST", path, kind, body).await
    }

    async fn ask(
        &mut self,
        method: &str,
        path: &str,
        kind: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut request = self.head(method, path, kind, body.len()).into_bytes();
        request.extend_from_slice(body);
        let asking = async {
            self.stream.write_all(&request).await?;
            self.answer().await
        };
        match timeout(PATIENCE, asking).await {
            Ok(answer) => answer,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The head of a request, to be sent in pieces.
    pub(crate) fn head(&self, method: &str, path: &str, kind: &str, length: usize) -> String {
        let authorization = match self.token.as_str() {
            "" => String::new(),
            token => format!("Authorization: Bearer {token}\r\n"),
        };
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{authorization}\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n",
            self.host
        )
    }

    /// The next answer, however long it takes.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let has_body = status >= 200 && status != 204 && status != 304;
        let length = header(&head, "content-length").and_then(|length| length.parse().ok());
        let body = match length {
            _ if !has_body => Vec::new(),
            Some(length) => self.exactly(length).await?,
            None if head.contains("\r\ntransfer-encoding: chunked") => self.chunks().await?,
            None => Vec::new(),
        };
        Ok(Answer { status, head, body })
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            self.more().await?;
        }
        Ok(self.read.drain(..length).collect())
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.read, b"\r\n") {
                    break end + 2;
                }
                self.more().await?;
            };
            let line: Vec<u8> = self.read.drain(..end).collect();
            let line = String::from_utf8_lossy(&line);
            let length = usize::from_str_radix(line.trim(), 16);
            let length = length.map_err(|_| io::ErrorKind::InvalidData)?;
            let chunk = self.exactly(length + 2).await?;
            if length == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..length]);
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found == name).then_some(value.trim())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
