use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{domain::Epoch, ledger::LedgerError};

/// The file beside the database that remembers which history it is and how far it got.
///
/// It is written after each commit and may lag behind after a power loss, never run ahead. A database
/// that is behind its marker was restored; one without its marker, or with another file's, was copied.
#[derive(Debug)]
pub(super) struct Marker {
    file: File,
    database: u64,
    found: Option<Found>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    epoch: Epoch,
    commits: i64,
    database: u64,
}

const BYTES: usize = 24;

impl Marker {
    /// Opens the marker of the database at `path` and locks it for as long as it lives.
    pub(super) fn lock(path: &Path) -> Result<Self, LedgerError> {
        let marker = marker_path(path);
        let explain =
            |error: std::io::Error| LedgerError::new(format!("{}: {error}", marker.display()));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&marker).map_err(explain)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::new(
                    "another server uses it: stop that one first",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(explain(error)),
        }
        let mut bytes = Vec::new();
        let read = (&mut file).take(BYTES as u64 + 1).read_to_end(&mut bytes);
        read.map_err(explain)?;
        Ok(Self {
            file,
            database: 0,
            found: Found::from_bytes(&bytes),
        })
        .map(|marker| marker.of_database(path))
    }

    /// Whether this is the database that the marker was written for, and not behind it.
    pub(super) fn knows(&self, epoch: Epoch, commits: i64, path: &Path) -> bool {
        let database = file_identity(path);
        self.found.is_some_and(|found| {
            found.epoch == epoch && found.commits <= commits && found.database == database
        })
    }

    /// Remembers that the database got this far.
    pub(super) fn write(&mut self, epoch: Epoch, commits: i64) -> Result<(), LedgerError> {
        let found = Found {
            epoch,
            commits,
            database: self.database,
        };
        let mut write = || -> std::io::Result<()> {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&found.to_bytes())
        };
        write().map_err(|error| LedgerError::new(error.to_string()))
    }

    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        self.file
            .sync_all()
            .map_err(|error| LedgerError::new(error.to_string()))
    }

    fn of_database(mut self, path: &Path) -> Self {
        // The database may be created only now; its identity must exist before it is remembered.
        let created = OpenOptions::new().append(true).create(true).open(path);
        drop(created);
        self.database = file_identity(path);
        self
    }
}

impl Found {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let long = |at: usize| u64::from_be_bytes(*bytes[at..].first_chunk().expect("in bounds"));
        Some(Self {
            epoch: Epoch(long(0)),
            commits: long(8).cast_signed(),
            database: long(16),
        })
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.commits.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.database.to_be_bytes());
        bytes
    }
}

fn marker_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push("-marker");
    name.into()
}

/// What tells one file from its copy: the inode, where there is one.
fn file_identity(path: &Path) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).map_or(0, |metadata| metadata.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        0
    }
}
