/// Finds the end of a chunked body (RFC 9112, section 7.1).
///
/// It accepts no more than hyper does, so hyper finds the same end or none.
#[derive(Debug, Default)]
pub(super) struct ChunkScan {
    place: ChunkPlace,
    /// The size of the chunk, or how much of it is left.
    left: u64,
}

/// How much of a chunked body some bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkProgress {
    /// All bytes belong to the body, and more of it must follow.
    Unfinished,
    /// The body ends after this many of the bytes.
    EndsAt(usize),
    /// The byte at this place is no chunk's.
    MalformedAt(usize),
}

#[derive(Clone, Copy, Debug, Default)]
enum ChunkPlace {
    /// Before the first digit of a size.
    #[default]
    SizeStart,
    Size,
    /// Behind the size, up to the end of its line.
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

impl ChunkScan {
    /// Reads the next bytes of the connection, up to the end of the body.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> ChunkProgress {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            self.place = match (self.place, byte) {
                (ChunkPlace::SizeStart | ChunkPlace::Size, byte) if byte.is_ascii_hexdigit() => {
                    if !self.add_digit(*byte) {
                        return ChunkProgress::MalformedAt(at);
                    }
                    ChunkPlace::Size
                }
                (ChunkPlace::Size, b' ' | b'\t' | b';') => ChunkPlace::Extension,
                (ChunkPlace::Size | ChunkPlace::Extension, b'\r') => ChunkPlace::SizeLf,
                (ChunkPlace::Extension, byte) if *byte != b'\n' => ChunkPlace::Extension,
                (ChunkPlace::SizeLf, b'\n') if self.left == 0 => ChunkPlace::TrailerStart,
                (ChunkPlace::SizeLf, b'\n') => ChunkPlace::Data,
                (ChunkPlace::Data, _) => {
                    at += self.skip(bytes.len() - at);
                    continue;
                }
                (ChunkPlace::DataCr, b'\r') => ChunkPlace::DataLf,
                (ChunkPlace::DataLf, b'\n') => ChunkPlace::SizeStart,
                (ChunkPlace::TrailerStart, b'\r') => ChunkPlace::EndLf,
                (ChunkPlace::Trailer, b'\r') => ChunkPlace::TrailerLf,
                (ChunkPlace::TrailerStart | ChunkPlace::Trailer, byte) if *byte != b'\n' => {
                    ChunkPlace::Trailer
                }
                (ChunkPlace::TrailerLf, b'\n') => ChunkPlace::TrailerStart,
                (ChunkPlace::EndLf, b'\n') => return ChunkProgress::EndsAt(at + 1),
                _ => return ChunkProgress::MalformedAt(at),
            };
            at += 1;
        }
        ChunkProgress::Unfinished
    }

    /// Returns false if the size is too large to be one.
    fn add_digit(&mut self, digit: u8) -> bool {
        let digit = char::from(digit).to_digit(16).map(u64::from);
        let size = self.left.checked_mul(16).zip(digit);
        let size = size.and_then(|(size, digit)| size.checked_add(digit));
        self.left = size.unwrap_or_default();
        size.is_some()
    }

    /// Skips data of the chunk, of which `available` bytes are here; returns how many that were.
    fn skip(&mut self, available: usize) -> usize {
        let skipped = usize::try_from(self.left).map_or(available, |left| left.min(available));
        self.left -= skipped as u64;
        if self.left == 0 {
            self.place = ChunkPlace::DataCr;
        }
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkProgress, ChunkScan};

    /// What a body in one piece gives, which must be the same for every cut.
    fn scan(body: &str) -> ChunkProgress {
        let bytes = body.as_bytes();
        let whole = ChunkScan::default().scan(bytes);
        for cut in 0..bytes.len() {
            let mut scan = ChunkScan::default();
            let (one, other) = bytes.split_at(cut);
            let progress = match scan.scan(one) {
                ChunkProgress::Unfinished => match scan.scan(other) {
                    ChunkProgress::EndsAt(at) => ChunkProgress::EndsAt(cut + at),
                    ChunkProgress::MalformedAt(at) => ChunkProgress::MalformedAt(cut + at),
                    ChunkProgress::Unfinished => ChunkProgress::Unfinished,
                },
                early => early,
            };
            assert_eq!(progress, whole, "{body:?} cut at {cut}");
        }
        whole
    }

    #[test]
    fn the_end_of_a_body_is_found() {
        for body in [
            "0\r\n\r\n",
            "3\r\n\r\n0\r\n0\r\n\r\n",
            "0000a;x=\"y\"\r\n0123456789\r\n000\r\n\r\n",
            "3  \r\nabc\r\n0;last\r\n\r\n",
            "1\r\na\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n",
        ] {
            let ends = ChunkProgress::EndsAt(body.len());
            assert_eq!(scan(body), ends, "{body:?}");
            assert_eq!(scan(&format!("{body}\nmore")), ends, "{body:?}");
            let short = &body[..body.len() - 1];
            assert_eq!(scan(short), ChunkProgress::Unfinished, "{body:?}");
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for (chunks, other) in [
            ("", "\r\n"),
            ("", "x\r\n"),
            ("", ";x\r\n"),
            ("", " 3\r\nabc\r\n"),
            ("", "-1\r\n"),
            ("0", "x3\r\nabc\r\n"),
            ("3", "\nabc\r\n"),
            ("3\r", "Xabc\r\n"),
            ("3;x", "\nabc\r\n"),
            ("3\r\nabc", "X\r\n"),
            ("3\r\nabc", "\n0\r\n"),
            ("3\r\nabc\r", "X"),
            ("1000000000000000", "0\r\n"),
            ("0\r\n", "\n"),
            ("0\r\nX: y", "\n\r\n"),
            ("0\r\nX: y\r", "Z\r\n"),
            ("0\r\n\r", "X"),
        ] {
            let malformed = ChunkProgress::MalformedAt(chunks.len());
            assert_eq!(scan(&format!("{chunks}{other}")), malformed, "{chunks:?}");
        }
    }
}
