use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::{domain::Epoch, ledger::LedgerError};

/// Two small files beside the database that tell a restored or copied one from the one that was in
/// use here.
///
/// `-marker` remembers which history it is and how far it got. It is written after each commit, and
/// may lag behind after a crash, never run ahead: a database behind its marker was restored.
///
/// `-seal` is written when an epoch begins and not touched again. The database holds the instant at
/// which its inode last changed, which no copy can take along: where they differ, all files were
/// restored together. Its lock keeps a second server away.
#[derive(Debug)]
pub(super) struct Marker {
    marker: File,
    seal: File,
    found: Option<Found>,
}

/// When the seal was written, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sealed(pub(super) i64);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    epoch: Epoch,
    commits: i64,
}

const BYTES: usize = 16;

impl Marker {
    /// Opens the files beside the database at `path`, and locks them for as long as it lives.
    pub(super) fn lock(path: &Path) -> Result<Self, LedgerError> {
        let seal = open_beside(path, "-seal")?;
        match seal.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LedgerError::new(
                    "another server uses it: stop that one first",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
        }
        let mut marker = open_beside(path, "-marker")?;
        let mut bytes = Vec::new();
        let read = (&mut marker).take(BYTES as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| unusable(&error))?;
        Ok(Self {
            marker,
            seal,
            found: Found::from_bytes(&bytes),
        })
    }

    /// Whether this is the database that lay here before, and not behind what it was.
    pub(super) fn knows(&self, epoch: Epoch, commits: i64, sealed: Sealed) -> bool {
        let is_sealed = self.sealed().is_ok_and(|found| found == sealed);
        let is_ahead = |found: Found| found.epoch == epoch && found.commits <= commits;
        is_sealed && self.found.is_some_and(is_ahead)
    }

    /// Seals a new history.
    pub(super) fn seal(&mut self, epoch: Epoch) -> Result<Sealed, LedgerError> {
        let bytes = epoch.0.to_be_bytes();
        let written = overwrite(&mut self.seal, &bytes).and_then(|()| self.seal.sync_all());
        written.map_err(|error| unusable(&error))?;
        self.sealed()
    }

    /// Remembers that the database got this far.
    pub(super) fn write(&mut self, epoch: Epoch, commits: i64) -> Result<(), LedgerError> {
        let found = Found { epoch, commits };
        overwrite(&mut self.marker, &found.to_bytes()).map_err(|error| unusable(&error))
    }

    pub(super) fn sync(&self) -> Result<(), LedgerError> {
        self.marker.sync_all().map_err(|error| unusable(&error))
    }

    #[cfg(unix)]
    fn sealed(&self) -> Result<Sealed, LedgerError> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.seal.metadata().map_err(|error| unusable(&error))?;
        let seconds = metadata.ctime().saturating_mul(1_000_000_000);
        Ok(Sealed(seconds.saturating_add(metadata.ctime_nsec())))
    }

    /// Where inodes do not tell when they changed, a copy that keeps its times is taken for the
    /// original.
    #[cfg(not(unix))]
    fn sealed(&self) -> Result<Sealed, LedgerError> {
        let modified = self
            .seal
            .metadata()
            .and_then(|metadata| metadata.modified());
        let modified = modified.map_err(|error| unusable(&error))?;
        let since = modified.duration_since(std::time::UNIX_EPOCH);
        let nanos = since.unwrap_or_default().as_nanos();
        Ok(Sealed(i64::try_from(nanos).unwrap_or(i64::MAX)))
    }
}

impl Found {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
        let long = |at: usize| u64::from_be_bytes(*bytes[at..].first_chunk().expect("in bounds"));
        Some(Self {
            epoch: Epoch(long(0)),
            commits: long(8).cast_signed(),
        })
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.commits.to_be_bytes());
        bytes
    }
}

fn open_beside(database: &Path, suffix: &str) -> Result<File, LedgerError> {
    let mut name = OsString::from(database);
    name.push(suffix);
    let path = PathBuf::from(name);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let opened = options.open(&path);
    opened.map_err(|error| LedgerError::new(format!("{}: {error}", path.display())))
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)
}

fn unusable(error: &io::Error) -> LedgerError {
    LedgerError::new(format!("the files beside it cannot be used: {error}"))
}
