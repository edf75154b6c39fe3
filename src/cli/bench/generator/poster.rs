use std::io::{self, Read, Write};

use memchr::memmem;
use mio::net::TcpStream;

use super::Fault;

/// The longest answer that is read: receipts of a batch, a few hundred bytes each.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A kept-alive HTTP connection that posts events: one request at a time.
#[derive(Debug)]
pub(super) struct Poster {
    stream: TcpStream,
    /// What is still to be written.
    outgoing: Vec<u8>,
    /// What has come of the answer.
    answer: Vec<u8>,
    is_busy: bool,
}

impl Poster {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            outgoing: Vec::new(),
            answer: Vec::new(),
            is_busy: false,
        }
    }

    /// An answer is still due.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Sends a request. It must not be busy.
    pub(super) fn post(&mut self, head: &str, body: &str) -> Result<(), Fault> {
        self.is_busy = true;
        self.outgoing.extend(head.as_bytes());
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        self.outgoing.extend(length.as_bytes());
        self.outgoing.extend(body.as_bytes());
        self.write()
    }

    /// Writes what there is room for.
    pub(super) fn write(&mut self) -> Result<(), Fault> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads what there is; true: the answer is whole, and good.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<bool, Fault> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(Fault::Closed),
                Ok(read) => self.answer.extend(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(end) = whole(&self.answer)? else {
            return Ok(false);
        };
        check(&self.answer[..end])?;
        self.answer.drain(..end);
        self.is_busy = false;
        Ok(true)
    }
}

/// Where the answer ends; none while it is not whole.
fn whole(answer: &[u8]) -> Result<Option<usize>, Fault> {
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(Fault::garbled(b"an answer that does not end"));
    }
    let Some(head) = memmem::find(answer, b"\r\n\r\n") else {
        return Ok(None);
    };
    let end = head + 4 + content_length(&answer[..head]).ok_or_else(|| Fault::garbled(answer))?;
    Ok((answer.len() >= end).then_some(end))
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse().ok()
}

/// Every event must have been recorded, and now.
fn check(answer: &[u8]) -> Result<(), Fault> {
    let is_good = answer.starts_with(b"HTTP/1.1 200") || answer.starts_with(b"HTTP/1.1 201");
    let statuses: [&[u8]; 3] = [
        br#""status":"rejected""#,
        br#""status":"conflict""#,
        br#""status":"duplicate""#,
    ];
    let is_refused = |status: &&[u8]| memmem::find(answer, status).is_some();
    if is_good && !statuses.iter().any(is_refused) {
        return Ok(());
    }
    let body = memmem::find(answer, b"\r\n\r\n").map_or(0, |head| head + 4);
    Err(Fault::refused(&answer[body..]))
}
