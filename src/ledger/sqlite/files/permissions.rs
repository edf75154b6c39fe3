//! Who may read the ledger's files: they hold what customers consume, so new ones are their owner's only.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// What SQLite adds to the database's name for the files in which entries are too.
#[cfg(unix)]
const LOG_ENDINGS: [&str; 2] = ["-wal", "-shm"];

/// Opens a file to read and write. A new one is private (0600), whatever the umask; an existing one keeps its
/// permissions.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates the database as an empty file, which to SQLite is an empty database. SQLite gives the log the
/// permissions of the database, and the database those of the umask.
pub(in crate::ledger::sqlite) fn create_private(database: &Path) -> io::Result<()> {
    // Not opened if it exists: closing it would release locks that this process holds on it through SQLite.
    if database.exists() {
        return Ok(());
    }
    open_private(database).map(drop)
}

/// Warns if every user of the machine can read or write the database. Older versions created it like that. The
/// permissions stay as they are, since somebody may have chosen them.
#[cfg(unix)]
pub(in crate::ledger::sqlite) fn warn_if_public(database: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let is_public = |path: &PathBuf| {
        let metadata = path.metadata();
        metadata.is_ok_and(|metadata| metadata.permissions().mode() & 0o006 != 0)
    };
    let logs = LOG_ENDINGS.map(|ending| beside(database, ending));
    let files = std::iter::once(database.to_owned()).chain(logs);
    let public: Vec<_> = files.filter(is_public).collect();
    if public.is_empty() {
        return;
    }
    let public: Vec<_> = public
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    // Not the seal: a change of its permissions would make this a restored ledger.
    tracing::warn!(
        "every user of this machine can read the ledger: chmod 600 {}",
        public.join(" ")
    );
}

#[cfg(not(unix))]
pub(in crate::ledger::sqlite) fn warn_if_public(_database: &Path) {}

/// The path of a file beside the database.
pub(super) fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    PathBuf::from(name)
}
