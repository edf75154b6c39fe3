/// Rejects request heads that hyper accepts but that a proxy may parse differently: the basis of request smuggling.
///
/// hyper accepts a bare LF as the end of a line, and `Content-Length` beside `Transfer-Encoding` or twice. A proxy in
/// front of us may split such bytes into other requests than hyper does. The scan replaces the offending byte by a NUL,
/// which no parser accepts, so that hyper answers 400 and closes.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    state: HeadState,
    /// How many bytes of this line match the name so far.
    name_bytes: usize,
    content_lengths: u8,
    transfer_encodings: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum HeadState {
    /// Before the head. Every parser skips empty lines here.
    #[default]
    Before,
    BeforeCr,
    /// In a line that may still begin with this name.
    Name(Framing),
    /// In the rest of a line.
    Line,
    /// After a CR: only LF may follow.
    Cr,
    /// At the start of a header line.
    LineStart,
    /// After a CR at the start of a line: LF ends the head.
    EndCr,
    /// The head is over.
    Done,
}

/// A header that frames the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    ContentLength,
    TransferEncoding,
}

const NUL: u8 = 0;

impl HeadScan {
    /// Scans the next bytes of the connection, and replaces an ambiguous one.
    pub(super) fn scan(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.state == HeadState::Done {
                return;
            }
            if !self.accepts(*byte) {
                *byte = NUL;
                self.state = HeadState::Done;
            }
        }
    }

    /// Takes one byte. Returns false if it must not reach the parser.
    fn accepts(&mut self, byte: u8) -> bool {
        use HeadState::{Before, BeforeCr, Cr, Done, EndCr, Line, LineStart, Name};
        self.state = match (self.state, byte) {
            (Before, b'\r') => BeforeCr,
            (BeforeCr, b'\n') => Before,
            (Cr, b'\n') => LineStart,
            (EndCr, b'\n') => Done,
            (_, b'\n') => return false,
            (LineStart, b'\r') => EndCr,
            (_, b'\r') => Cr,
            (Name(name), _) => return self.spell(name, byte),
            (LineStart, b'c' | b'C') => self.begin(Framing::ContentLength),
            (LineStart, b't' | b'T') => self.begin(Framing::TransferEncoding),
            _ => Line,
        };
        true
    }

    fn begin(&mut self, name: Framing) -> HeadState {
        self.name_bytes = 1;
        HeadState::Name(name)
    }

    fn spell(&mut self, name: Framing, byte: u8) -> bool {
        let Some(expected) = name.spelling().get(self.name_bytes) else {
            self.state = HeadState::Line;
            return byte != b':' || self.count(name);
        };
        if byte.eq_ignore_ascii_case(expected) {
            self.name_bytes += 1;
        } else {
            self.state = HeadState::Line;
        }
        true
    }

    /// Counts a header that frames the body. Returns false for the second one.
    fn count(&mut self, name: Framing) -> bool {
        match name {
            Framing::ContentLength => self.content_lengths += 1,
            Framing::TransferEncoding => self.transfer_encodings += 1,
        }
        self.content_lengths + self.transfer_encodings == 1
    }
}

impl Framing {
    fn spelling(self) -> &'static [u8] {
        match self {
            Self::ContentLength => b"content-length",
            Self::TransferEncoding => b"transfer-encoding",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeadScan;

    /// The bytes that reach the parser, in any split.
    fn scanned(bytes: &str) -> String {
        let mut whole = bytes.as_bytes().to_vec();
        HeadScan::default().scan(&mut whole);
        let mut scan = HeadScan::default();
        let mut single = bytes.as_bytes().to_vec();
        single.chunks_mut(1).for_each(|byte| scan.scan(byte));
        assert_eq!(whole, single, "the split must not matter");
        String::from_utf8(whole).expect("ASCII in, ASCII out")
    }

    #[test]
    fn ordinary_heads_pass_untouched() {
        for head in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\nwith\nlines",
            "\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nb",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\na\n0\n\n",
            "POST / HTTP/1.1\r\nContent-Length-Hint: 1\r\nX-Content-Length: 9\r\nContent-Length: 3\r\n\r\nabc",
            "GET /?Content-Length:Content-Length: HTTP/1.1\r\nCookie: Transfer-Encoding: a\r\n\r\n",
        ] {
            assert_eq!(scanned(head), head);
        }
    }

    #[test]
    fn ambiguous_heads_are_rejected() {
        for head in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        ] {
            assert!(scanned(head).contains('\0'), "{head:?} passed");
        }
    }
}
