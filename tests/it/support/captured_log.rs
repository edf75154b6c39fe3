//! What the library logs.

use std::{
    io::{Result, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Level,
    subscriber::{self, DefaultGuard},
};

/// The log of this thread, in memory. It ends when this is dropped.
pub(crate) struct CapturedLog {
    lines: LogLines,
    _installed: DefaultGuard,
}

impl CapturedLog {
    pub(crate) fn of_this_thread(level: Level) -> Self {
        let lines = LogLines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            lines,
            _installed: subscriber::set_default(subscriber),
        }
    }

    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

#[derive(Clone, Default)]
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
