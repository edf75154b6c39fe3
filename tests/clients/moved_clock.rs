//! A clock that is moved while a server uses it: Debian's libfaketime, loaded into the real binary.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::process::Command;

/// A wall clock that runs as fast as the machine's, but is ahead of it or behind. Monotonic time is not
/// touched: heartbeats and timeouts stay what they are.
pub(crate) struct MovedClock {
    folder: TempDir,
    library: PathBuf,
}

impl MovedClock {
    pub(crate) fn at(now: &str) -> Self {
        let clock = Self {
            folder: tempfile::tempdir().unwrap(),
            library: library(),
        };
        clock.set(now);
        clock
    }

    /// A clock that starts at `now`.
    pub(crate) fn set(&self, now: &str) {
        let now: Timestamp = now.parse().unwrap();
        let ahead_ms = now.as_millisecond() - Timestamp::now().as_millisecond();
        let (sign, ms) = (if ahead_ms < 0 { '-' } else { '+' }, ahead_ms.abs());
        let new = self.file().with_extension("new");
        fs::write(&new, format!("{sign}{}.{:03}", ms / 1000, ms % 1000)).unwrap();
        // Takes effect at once: the library reads the file on each call.
        fs::rename(new, self.file()).unwrap();
    }

    /// Makes a program use it.
    pub(crate) fn rule(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FAKETIME_TIMESTAMP_FILE", self.file())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
    }

    /// Removes the files that the library stores under a process id for its children. After a kill they would
    /// remain, and keep the next process with this id from starting.
    pub(crate) fn tidy(process: u32) {
        for file in ["faketime_shm_", "sem.faketime_sem_"] {
            // Other systems may have it elsewhere.
            drop(fs::remove_file(format!("/dev/shm/{file}{process}")));
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }
}

/// The variant for programs with threads.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten();
    folders
        .map(|folder| folder.unwrap().path())
        .map(|folder| folder.join(Path::new("faketime/libfaketimeMT.so.1")))
        .find(|library| library.exists())
        .expect("libfaketime is missing: run `make setup-tests`")
}
