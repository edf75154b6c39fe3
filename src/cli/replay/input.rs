use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use crate::cli::table::TableError;

/// The file argument that means stdin.
const STDIN: &str = "-";

/// What stdin is called in ids and errors.
const STDIN_NAME: &str = "stdin";

/// The most bytes that are copied from a pipe. The copy is in the folder for temporary files, which may be in memory.
const COPY_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// The file to replay, which is read twice: whole to check it, then to send it.
///
/// It is opened once, so that both times it is the same file. A pipe can be read only once, so what is read from it is
/// copied into a temporary file without a name, which vanishes with the process.
pub(super) struct ReplayInput {
    path: PathBuf,
    original: Box<dyn Read>,
    /// What is read the second time.
    kept: File,
    is_copy: bool,
    bytes: u64,
}

impl ReplayInput {
    pub(super) fn open(path: &Path) -> Result<Self, TableError> {
        let opened = match path.to_str() {
            Some(STDIN) => copied(Box::new(io::stdin().lock())),
            _ => opened(path),
        };
        let path = name(path);
        let (original, kept, is_copy) = opened
            .map_err(|error| TableError::whole(&path, format!("cannot be opened: {error}")))?;
        Ok(Self {
            path,
            original,
            kept,
            is_copy,
            bytes: 0,
        })
    }

    /// The file as ids and errors name it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The same bytes once more. What a growing file has gained meanwhile is left out: it was not checked.
    pub(super) fn again(mut self) -> Result<io::Take<File>, TableError> {
        let rewound = self.kept.rewind();
        rewound.map_err(|error| {
            TableError::whole(&self.path, format!("cannot be read again: {error}"))
        })?;
        Ok(self.kept.take(self.bytes))
    }
}

/// The file as ids and errors name it.
fn name(path: &Path) -> PathBuf {
    match path.to_str() {
        Some(STDIN) => STDIN_NAME.into(),
        _ => path.to_owned(),
    }
}

type Opened = (Box<dyn Read>, File, bool);

fn opened(path: &Path) -> io::Result<Opened> {
    let file = File::open(path)?;
    if file.metadata()?.is_file() {
        let kept = file.try_clone()?;
        return Ok((Box::new(file), kept, false));
    }
    copied(Box::new(file))
}

fn copied(original: Box<dyn Read>) -> io::Result<Opened> {
    Ok((original, tempfile::tempfile()?, true))
}

impl Read for ReplayInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.original.read(buffer)?;
        self.bytes += read as u64;
        if self.is_copy {
            if self.bytes > COPY_BYTES_MAX {
                return Err(io::Error::other(format!(
                    "it is no file, and longer than {} MiB: write it into a file first",
                    COPY_BYTES_MAX / 1024 / 1024
                )));
            }
            self.kept.write_all(&buffer[..read])?;
        }
        Ok(read)
    }
}
