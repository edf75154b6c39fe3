/// The most bytes of a header line that are kept. A header that frames the body fits, with some spaces.
const LINE_BYTES_MAX: usize = 48;

/// Finds the end of a request's head, and how its body is framed.
///
/// It is stricter than hyper, which accepts a bare LF as the end of a line, `Content-Length` beside
/// `Transfer-Encoding`, and either of them twice. A proxy in front of us may split such bytes into other requests
/// than hyper does, which is the basis of request smuggling.
#[derive(Debug)]
pub(super) struct HeadScan {
    place: HeadPlace,
    /// The first bytes of the current line.
    line: [u8; LINE_BYTES_MAX],
    /// The length of the current line, which may be longer than what is kept of it.
    line_bytes: usize,
    framing: Option<Framing>,
}

/// How much of a head some bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadProgress {
    /// All bytes belong to the head, and more of it must follow.
    Unfinished,
    /// The head ends after this many of the bytes.
    EndsAt(usize, Framing),
    /// The byte at this place must not reach the parser.
    AmbiguousAt(usize),
}

/// How the length of a request's body is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`; 0 without a body.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadPlace {
    /// Before the head. Every parser skips empty lines here.
    Before,
    BeforeLf,
    /// In a line.
    Line,
    LineLf,
    /// At the start of a header line.
    LineStart,
    /// After a CR at the start of a line: LF ends the head.
    EndLf,
}

impl HeadScan {
    pub(super) fn new() -> Self {
        Self {
            place: HeadPlace::Before,
            line: [0; LINE_BYTES_MAX],
            line_bytes: 0,
            framing: None,
        }
    }

    /// Whether a request has begun, empty lines aside.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.place, HeadPlace::Before | HeadPlace::BeforeLf)
    }

    /// Reads the next bytes of the connection, up to the end of the head.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> HeadProgress {
        let mut at = 0;
        loop {
            if self.place == HeadPlace::Line {
                at += self.rest_of_line(&bytes[at..]);
            }
            let Some(byte) = bytes.get(at) else {
                return HeadProgress::Unfinished;
            };
            self.place = match (self.place, byte) {
                (HeadPlace::Before, b'\r') => HeadPlace::BeforeLf,
                (HeadPlace::BeforeLf, b'\n') => HeadPlace::Before,
                (HeadPlace::Line, b'\r') => HeadPlace::LineLf,
                (HeadPlace::LineLf, b'\n') if self.end_line() => HeadPlace::LineStart,
                (HeadPlace::LineStart, b'\r') => HeadPlace::EndLf,
                (HeadPlace::EndLf, b'\n') => {
                    let framing = self.framing.unwrap_or(Framing::Length(0));
                    return HeadProgress::EndsAt(at + 1, framing);
                }
                // A space would continue the line before it.
                (HeadPlace::Before | HeadPlace::LineStart, byte) if !b"\n \t".contains(byte) => {
                    self.line_bytes = 0;
                    self.place = HeadPlace::Line;
                    continue;
                }
                _ => return HeadProgress::AmbiguousAt(at),
            };
            at += 1;
        }
    }

    /// Reads up to the end of the line; returns how many bytes that were.
    fn rest_of_line(&mut self, bytes: &[u8]) -> usize {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let length = bytes.iter().position(is_end).unwrap_or(bytes.len());
        if let Some(free) = self.line.get_mut(self.line_bytes..) {
            let kept = length.min(free.len());
            free[..kept].copy_from_slice(&bytes[..kept]);
        }
        self.line_bytes = self.line_bytes.saturating_add(length);
        length
    }

    /// Reads a whole line. Returns false if it frames the body and is not clear, or not the only one that does.
    ///
    /// The request line is read like a header. No method contains a colon, so hyper refuses one that looks like this.
    fn end_line(&mut self) -> bool {
        let kept = &self.line[..self.line_bytes.min(LINE_BYTES_MAX)];
        let Some(colon) = kept.iter().position(|byte| *byte == b':') else {
            return true;
        };
        let (name, value) = (&kept[..colon], kept[colon + 1..].trim_ascii());
        let framing = if name.eq_ignore_ascii_case(b"content-length") {
            length(value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let is_chunked = value.eq_ignore_ascii_case(b"chunked");
            is_chunked.then_some(Framing::Chunked)
        } else {
            return true;
        };
        let is_first = self.framing.is_none();
        self.framing = framing;
        is_first && framing.is_some() && self.line_bytes <= LINE_BYTES_MAX
    }
}

/// The value of `Content-Length`, which is digits alone.
fn length(value: &[u8]) -> Option<Framing> {
    let is_number = value.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    text.parse().ok().map(Framing::Length)
}

#[cfg(test)]
mod tests {
    use super::{Framing, HeadProgress, HeadScan};

    /// What a head in one piece gives, which must be the same for every cut.
    fn scan(head: &str) -> HeadProgress {
        let bytes = head.as_bytes();
        let whole = HeadScan::new().scan(bytes);
        for cut in 0..bytes.len() {
            let mut scan = HeadScan::new();
            let (one, other) = bytes.split_at(cut);
            let progress = match scan.scan(one) {
                HeadProgress::Unfinished => match scan.scan(other) {
                    HeadProgress::EndsAt(at, framing) => HeadProgress::EndsAt(cut + at, framing),
                    HeadProgress::AmbiguousAt(at) => HeadProgress::AmbiguousAt(cut + at),
                    HeadProgress::Unfinished => HeadProgress::Unfinished,
                },
                early => early,
            };
            assert_eq!(progress, whole, "{head:?} cut at {cut}");
        }
        whole
    }

    #[test]
    fn an_ordinary_head_ends_and_says_how_its_body_is_framed() {
        for (head, framing) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0)),
            (
                "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
                Framing::Length(3),
            ),
            (
                "POST / HTTP/1.1\r\ncontent-LENGTH:\t 007 \r\n\r\n",
                Framing::Length(7),
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-encoding:Chunked\r\n\r\n",
                Framing::Chunked,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length-Hint: 1\r\nX-Content-Length: 9\r\nContent-Length: 3\r\n\r\n",
                Framing::Length(3),
            ),
            (
                "GET /?Content-Length:Content-Length: HTTP/1.1\r\nCookie: Transfer-Encoding: a\r\n\r\n",
                Framing::Length(0),
            ),
        ] {
            let ends = HeadProgress::EndsAt(head.len(), framing);
            assert_eq!(scan(head), ends, "{head:?}");
            assert_eq!(scan(&format!("{head}\n\r more")), ends, "{head:?}");
            assert_eq!(
                scan(&head[..head.len() - 1]),
                HeadProgress::Unfinished,
                "{head:?}"
            );
        }
    }

    #[test]
    fn an_ambiguous_head_is_refused_where_it_becomes_so() {
        for (clear, ambiguous) in [
            ("GET / HTTP/1.1", "\nHost: a\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a", "\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", "\n"),
            ("GET / HTTP/1.1\r\nHost: a\r", "b\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\n", " folded\r\n\r\n"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r", "\r\n"),
            ("", "\nGET / HTTP/1.1\r\n\r\n"),
            ("\r", "\r\nGET / HTTP/1.1\r\n\r\n"),
            (
                "P / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r",
                "\n\r\n",
            ),
            (
                "P / HTTP/1.1\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 1\r",
                "\n\r\n",
            ),
            (
                "P / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r",
                "\n\r\n",
            ),
            ("P / HTTP/1.1\r\nContent-Length: +1\r", "\n\r\n"),
            ("P / HTTP/1.1\r\nContent-Length: 1, 1\r", "\n\r\n"),
            ("P / HTTP/1.1\r\nContent-Length:\r", "\n\r\n"),
            (
                "P / HTTP/1.1\r\nContent-Length: 18446744073709551616\r",
                "\n\r\n",
            ),
            (
                "P / HTTP/1.1\r\nContent-Length: 00000000000000000000000000000000000000000000001\r",
                "\n\r\n",
            ),
            (
                "P / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r",
                "\n\r\n",
            ),
            (
                "P / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r",
                "\n\r\n",
            ),
        ] {
            let refused = HeadProgress::AmbiguousAt(clear.len());
            assert_eq!(scan(&format!("{clear}{ambiguous}")), refused, "{clear:?}");
        }
    }
}
