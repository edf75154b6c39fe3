use std::{
    fmt,
    io::{self, Read},
};

/// The longest row. An event has at most 16 KiB; the rest is for columns that are not used. A file that is no table may
/// have no line end at all, and would fill the memory.
const ROW_BYTES_MAX: usize = 1024 * 1024;

/// What spreadsheets write at the start of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Passes on the bytes of a CSV file (RFC 4180) up to the first place where its quotes or rows are wrong, and fails
/// there.
///
/// The `csv` crate reads every text as some table: a quote that is not closed takes the rest of the file into its cell,
/// and rows are lost without an error.
#[derive(Debug)]
pub(super) struct StrictCsv<R> {
    inner: R,
    state: CellState,
    /// Of the next byte.
    place: Place,
    /// Of the last quote that opened a cell.
    opened: Place,
    row_bytes: usize,
    row_line: u64,
    bytes: usize,
    follows_return: bool,
    error: Option<CsvError>,
}

/// A line and a column in it, in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) line: u64,
    pub(in crate::cli) column: u64,
}

/// What is wrong with the text of a table, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CsvError {
    pub(super) place: Place,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    QuoteWithinCell,
    TextAfterQuote,
    OpenQuote,
    LongRow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellState {
    Start,
    WithoutQuotes,
    Quoted,
    /// After a quote in a quoted cell: the cell has ended, or the next byte is the same quote again.
    AfterQuote,
}

impl<R> StrictCsv<R> {
    pub(super) fn new(inner: R) -> Self {
        let start = Place { line: 1, column: 1 };
        Self {
            inner,
            state: CellState::Start,
            place: start,
            opened: start,
            row_bytes: 0,
            row_line: 1,
            bytes: 0,
            follows_return: false,
            error: None,
        }
    }

    /// Reads the next byte.
    fn take(&mut self, byte: u8) -> Result<(), CsvError> {
        use CellState::{AfterQuote, Quoted, Start, WithoutQuotes};
        if self.is_byte_order_mark(byte) {
            return Ok(());
        }
        let is_line_end = matches!(byte, b'\r' | b'\n');
        self.row_bytes += 1;
        let was_quoted = self.state == Quoted;
        self.state = match (self.state, byte) {
            (Start, b'"') => {
                self.opened = self.place;
                Quoted
            }
            (AfterQuote, b'"') => Quoted,
            (Quoted, b'"') => AfterQuote,
            (Quoted, _) => Quoted,
            (_, b',' | b'\r' | b'\n') => Start,
            (WithoutQuotes, b'"') => return Err(self.error_here(Fault::QuoteWithinCell)),
            (AfterQuote, _) => return Err(self.error_here(Fault::TextAfterQuote)),
            (Start | WithoutQuotes, _) => WithoutQuotes,
        };
        self.move_on(byte);
        if is_line_end && !was_quoted {
            (self.row_bytes, self.row_line) = (0, self.place.line);
        }
        if self.row_bytes > ROW_BYTES_MAX {
            let (line, column) = (self.row_line, 1);
            let place = Place { line, column };
            let fault = Fault::LongRow;
            return Err(CsvError { place, fault });
        }
        Ok(())
    }

    fn is_byte_order_mark(&mut self, byte: u8) -> bool {
        let is_mark = BYTE_ORDER_MARK.get(self.bytes) == Some(&byte);
        // Anything else at the start, or the end of the mark: no later byte belongs to one.
        self.bytes = if is_mark {
            self.bytes + 1
        } else {
            BYTE_ORDER_MARK.len()
        };
        is_mark
    }

    fn move_on(&mut self, byte: u8) {
        let Place { line, column } = &mut self.place;
        match byte {
            // The second half of a line end.
            b'\n' if self.follows_return => {}
            b'\r' | b'\n' => (*line, *column) = (*line + 1, 1),
            // The first byte of a character.
            _ if byte & 0b1100_0000 != 0b1000_0000 => *column += 1,
            _ => {}
        }
        self.follows_return = byte == b'\r';
    }

    fn error_here(&self, fault: Fault) -> CsvError {
        let place = self.place;
        CsvError { place, fault }
    }
}

impl<R: Read> Read for StrictCsv<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.error {
            return Err(io::Error::other(error));
        }
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.state == CellState::Quoted {
            let place = self.opened;
            let fault = Fault::OpenQuote;
            return Err(io::Error::other(CsvError { place, fault }));
        }
        for (index, byte) in buffer[..read].iter().enumerate() {
            let Err(error) = self.take(*byte) else {
                continue;
            };
            // What precedes it is passed on first: a mistake in an earlier row is told instead.
            self.error = Some(error);
            return match index {
                0 => Err(io::Error::other(error)),
                before => Ok(before),
            };
        }
        Ok(read)
    }
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::QuoteWithinCell => f.write_str(
                "a quote inside a cell: put the whole cell in quotes, and write each quote in it twice",
            ),
            Fault::TextAfterQuote => f.write_str(
                "only a comma or the end of the line may follow a closing quote: write each quote inside a cell twice",
            ),
            Fault::OpenQuote => f.write_str("the quote that opens here is not closed"),
            Fault::LongRow => write!(
                f,
                "the row that begins here is longer than {} MiB: is this a table?",
                ROW_BYTES_MAX / 1024 / 1024
            ),
        }
    }
}

impl std::error::Error for CsvError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out the bytes in pieces of this length.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(buffer.len());
            (&mut self.0).take(length as u64).read(buffer)
        }
    }

    /// What is passed on, and the error after it.
    fn read(text: &[u8], piece: usize) -> (Vec<u8>, Option<CsvError>) {
        let mut passed = Vec::new();
        let read = StrictCsv::new(Pieces(text, piece)).read_to_end(&mut passed);
        let error = read.err().map(|error| error.downcast().unwrap());
        (passed, error)
    }

    #[test]
    fn a_table_is_passed_on_as_it_is() {
        for text in [
            "",
            "a,b\n1,2\n",
            "\u{feff}\"a\",b\r\n1,\"2\"",
            "\"a\n\"\"b\"\",\r\n\",c\r\n",
            "\"\",\"\"\"\",\r\r\n\n,\n\"\"",
            "ü🍜,\"ü,🍜\"\n",
        ] {
            for piece in 1..8 {
                assert_eq!(read(text.as_bytes(), piece), (text.into(), None));
            }
        }
    }

    #[test]
    fn a_fault_is_found_at_its_place_however_the_bytes_arrive() {
        use Fault::{OpenQuote, QuoteWithinCell, TextAfterQuote};
        for (text, fault, line, column, passed) in [
            ("a,b\nc,\"d\ne,f\n", OpenQuote, 2, 3, 13),
            ("a,\"", OpenQuote, 1, 3, 3),
            ("a,\"b\"\"", OpenQuote, 1, 3, 6),
            ("\u{feff}\"a", OpenQuote, 1, 1, 5),
            ("a\r\nb\rü🍜,\"c", OpenQuote, 3, 4, 14),
            ("a,b\"c\n", QuoteWithinCell, 1, 4, 3),
            ("a, \"b\"\n", QuoteWithinCell, 1, 4, 3),
            ("a\u{feff}\"b\"\n", QuoteWithinCell, 1, 3, 4),
            ("\"a\"b\n", TextAfterQuote, 1, 4, 3),
            ("\"a\" ,b\n", TextAfterQuote, 1, 4, 3),
            ("\"a\nb\"\"\"c\n", TextAfterQuote, 2, 5, 7),
        ] {
            for piece in 1..8 {
                let place = Place { line, column };
                let error = Some(CsvError { place, fault });
                let expected = (text.as_bytes()[..passed].to_vec(), error);
                assert_eq!(read(text.as_bytes(), piece), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_row_without_an_end_is_left_where_it_is_too_long() {
        for (quote, filling) in [("", "x"), ("\"", "\n")] {
            let row = |length: usize| {
                let filling = filling.repeat(length - 2 * quote.len());
                format!("a\n{quote}{filling}{quote}")
            };
            let longest = row(ROW_BYTES_MAX);
            assert_eq!(read(longest.as_bytes(), 1 << 16), (longest.into(), None));
            let (passed, error) = read((row(ROW_BYTES_MAX + 1) + "\nb\n").as_bytes(), 1 << 16);
            assert_eq!(passed.len(), 2 + ROW_BYTES_MAX);
            let expected = CsvError {
                place: Place { line: 2, column: 1 },
                fault: Fault::LongRow,
            };
            assert_eq!(error, Some(expected), "{filling:?}");
        }
        let many = "a\n".repeat(ROW_BYTES_MAX);
        assert_eq!(read(many.as_bytes(), 1 << 16), (many.into(), None));
    }
}
