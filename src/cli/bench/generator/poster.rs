use std::io::{self, Read, Write};

use memchr::memmem;
use mio::net::TcpStream;

use super::error::BenchError;

/// The longest response that is read: the receipts of a batch, a few hundred bytes each.
const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A keep-alive HTTP connection that posts events, one request at a time.
#[derive(Debug)]
pub(super) struct Poster {
    stream: TcpStream,
    /// Bytes still to be written.
    outgoing: Vec<u8>,
    /// The part of the response that has arrived.
    response: Vec<u8>,
    is_busy: bool,
}

impl Poster {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            outgoing: Vec::new(),
            response: Vec::new(),
            is_busy: false,
        }
    }

    /// Whether it still waits for a response.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Sends a request. It must not be busy.
    pub(super) fn post(&mut self, head: &str, body: &str) -> Result<(), BenchError> {
        self.is_busy = true;
        self.outgoing.extend(head.as_bytes());
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        self.outgoing.extend(length.as_bytes());
        self.outgoing.extend(body.as_bytes());
        self.write()
    }

    /// Writes as much as the socket accepts.
    pub(super) fn write(&mut self) -> Result<(), BenchError> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what has arrived. Returns true once the response is complete and successful.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<bool, BenchError> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(BenchError::Closed),
                Ok(read) => self.response.extend(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
            // Within the loop: a server may send faster than this reads.
            if self.response.len() > RESPONSE_BYTES_MAX {
                return Err(BenchError::garbled(b"a response that does not end"));
            }
        }
        let Some(end) = end_of(&self.response)? else {
            return Ok(false);
        };
        check(&self.response[..end])?;
        self.response.drain(..end);
        self.is_busy = false;
        Ok(true)
    }
}

/// Where the response ends; `None` while it is incomplete.
fn end_of(response: &[u8]) -> Result<Option<usize>, BenchError> {
    let Some(head) = memmem::find(response, b"\r\n\r\n") else {
        return Ok(None);
    };
    let length = content_length(&response[..head])
        .filter(|length| *length <= RESPONSE_BYTES_MAX)
        .ok_or_else(|| BenchError::garbled(response))?;
    let end = head + 4 + length;
    Ok((response.len() >= end).then_some(end))
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse().ok()
}

/// Every event must have been recorded by this request.
fn check(response: &[u8]) -> Result<(), BenchError> {
    let is_good = response.starts_with(b"HTTP/1.1 200") || response.starts_with(b"HTTP/1.1 201");
    let statuses: [&[u8]; 3] = [
        br#""status":"rejected""#,
        br#""status":"conflict""#,
        br#""status":"duplicate""#,
    ];
    let is_refused = |status: &&[u8]| memmem::find(response, status).is_some();
    if is_good && !statuses.iter().any(is_refused) {
        return Ok(());
    }
    let body = memmem::find(response, b"\r\n\r\n").map_or(0, |head| head + 4);
    Err(BenchError::refused(&response[body..]))
}
