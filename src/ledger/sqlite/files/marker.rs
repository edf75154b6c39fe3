use std::{
    fs::{File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use super::permissions::{beside, open_private};
use crate::{domain::Epoch, ledger::LedgerError};

/// Two small files beside the database. They distinguish the database that was in use here from a restored or
/// copied one.
///
/// `-marker` holds the epoch and the number of commits. It is written after each commit. After a crash it may be
/// behind the database, but never ahead: a database behind its marker was restored.
///
/// `-seal` is written when an epoch begins, and never again. The database stores the instant at which the seal's
/// inode last changed, which no copy can preserve: if they differ, all files were restored together. A lock on the
/// seal prevents a second server.
#[derive(Debug)]
pub(in crate::ledger::sqlite) struct Marker {
    marker: File,
    seal: File,
    /// What the marker held when it was opened.
    found: Option<MarkerContent>,
}

/// When the seal's inode last changed, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::ledger::sqlite) struct SealTime(pub(in crate::ledger::sqlite) i64);

#[derive(Debug, Clone, Copy, PartialEq)]
struct MarkerContent {
    epoch: Epoch,
    commits: i64,
}

const BYTES: usize = 16;

impl Marker {
    /// Opens the files beside the database at `path`, and locks the seal until this is dropped.
    ///
    /// # Errors
    /// When another server holds the lock, or a file cannot be opened or read.
    pub(in crate::ledger::sqlite) fn lock(path: &Path) -> Result<Self, LedgerError> {
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
            found: MarkerContent::from_bytes(&bytes),
        })
    }

    /// Whether this is the database that was in use here, and not an older state of it.
    pub(in crate::ledger::sqlite) fn knows(
        &self,
        epoch: Epoch,
        commits: i64,
        sealed: SealTime,
    ) -> bool {
        let is_sealed = self.seal_time().is_ok_and(|found| found == sealed);
        let is_ahead = |found: MarkerContent| found.epoch == epoch && found.commits <= commits;
        is_sealed && self.found.is_some_and(is_ahead)
    }

    /// Writes the seal of a new epoch.
    pub(in crate::ledger::sqlite) fn seal(
        &mut self,
        epoch: Epoch,
    ) -> Result<SealTime, LedgerError> {
        let bytes = epoch.0.to_be_bytes();
        let written = overwrite(&mut self.seal, &bytes).and_then(|()| self.seal.sync_all());
        written.map_err(|error| unusable(&error))?;
        self.seal_time()
    }

    /// Records the epoch and the number of commits.
    pub(in crate::ledger::sqlite) fn write(
        &mut self,
        epoch: Epoch,
        commits: i64,
    ) -> Result<(), LedgerError> {
        let found = MarkerContent { epoch, commits };
        overwrite(&mut self.marker, &found.to_bytes()).map_err(|error| unusable(&error))
    }

    pub(in crate::ledger::sqlite) fn sync(&self) -> Result<(), LedgerError> {
        self.marker.sync_all().map_err(|error| unusable(&error))
    }

    #[cfg(unix)]
    fn seal_time(&self) -> Result<SealTime, LedgerError> {
        use std::os::unix::fs::MetadataExt;
        let metadata = self.seal.metadata().map_err(|error| unusable(&error))?;
        let seconds = metadata.ctime().saturating_mul(1_000_000_000);
        Ok(SealTime(seconds.saturating_add(metadata.ctime_nsec())))
    }

    /// The time of the last modification. Unlike an inode's change time it can be copied: a copy that preserves
    /// times is taken for the original.
    #[cfg(not(unix))]
    fn seal_time(&self) -> Result<SealTime, LedgerError> {
        let modified = self
            .seal
            .metadata()
            .and_then(|metadata| metadata.modified());
        let modified = modified.map_err(|error| unusable(&error))?;
        let since = modified.duration_since(std::time::UNIX_EPOCH);
        let nanos = since.unwrap_or_default().as_nanos();
        Ok(SealTime(i64::try_from(nanos).unwrap_or(i64::MAX)))
    }
}

impl MarkerContent {
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
    let path = beside(database, suffix);
    open_private(&path).map_err(|error| LedgerError::new(format!("{}: {error}", path.display())))
}

fn overwrite(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(bytes)
}

fn unusable(error: &io::Error) -> LedgerError {
    LedgerError::new(format!("the files beside it cannot be used: {error}"))
}
