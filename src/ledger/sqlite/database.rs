use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    backlog::Backlog,
    connection::{assert_library_version, open_reader, open_writer},
    files::{Marker, create_private, warn_if_public},
    history::open_history,
    read::SqliteReader,
    recent::Recent,
    schema::create_or_check_tables,
    write::SqliteWriter,
};
use crate::{
    domain::Epoch,
    ledger::{Ledger, LedgerError, LedgerReader, LedgerWriter},
};

/// A ledger in one SQLite file, durable across crashes and power loss (`synchronous=FULL`).
///
/// Two files are beside it, the marker and the seal (`<file>-marker`, `<file>-seal`). A lock on the seal
/// prevents a second server. Together they detect a restored or copied file, which then gets a new epoch.
///
/// New files can be read by their owner only (0600), whatever the umask. Existing ones keep their permissions; if
/// every user of the machine can read the database, opening it logs a warning.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    epoch: Epoch,
    recorded_until: Timestamp,
    recent: Recent,
    /// What the writer needs, until it is taken.
    writer: Mutex<Option<(Connection, Marker, Backlog)>>,
}

impl Sqlite {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When the file cannot be opened, belongs to another program or a newer version, or is used by
    /// another server.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        assert_library_version()?;
        let path = path.as_ref();
        Self::open_file(path).map_err(|error| {
            let path = path.display();
            LedgerError::new(format!("cannot open the ledger {path}: {error}"))
        })
    }

    fn open_file(path: &Path) -> Result<Self, LedgerError> {
        let path = real_path(path)?;
        let mut marker = Marker::lock(&path)?;
        let created = create_private(&path);
        created.map_err(|error| LedgerError::new(error.to_string()))?;
        let connection = open_writer(&path)?;
        create_or_check_tables(&connection)?;
        let history = open_history(&connection, &mut marker)?;
        marker.write(history.epoch, history.commits)?;
        marker.sync()?;
        warn_if_public(&path);
        let (backlog, recent) = Backlog::load(&connection)?;
        Ok(Self {
            path,
            epoch: history.epoch,
            recorded_until: history.recorded_until,
            recent,
            writer: Mutex::new(Some((connection, marker, backlog))),
        })
    }

    /// The version of the SQLite library in this build, such as `3.51.3`.
    #[must_use]
    pub fn library_version() -> &'static str {
        rusqlite::version()
    }
}

impl Ledger for Sqlite {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn recorded_until(&self) -> Timestamp {
        self.recorded_until
    }

    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError> {
        let mut writer = self
            .writer
            .lock()
            .expect("nothing panics while it is taken");
        let (connection, marker, backlog) = writer
            .take()
            .ok_or_else(|| LedgerError::new("the ledger's one writer is in use"))?;
        let recent = self.recent.clone();
        let writer = SqliteWriter::new(connection, marker, self.epoch, backlog, recent)?;
        Ok(Box::new(writer))
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError> {
        let connection = open_reader(&self.path)?;
        Ok(Box::new(SqliteReader::new(connection, self.recent.clone())))
    }
}

/// The absolute path without links. Without links, every server that opens the same database finds the same
/// files beside it. An absolute path is never one of SQLite's special names (`:memory:`, `file:…`).
fn real_path(path: &Path) -> Result<PathBuf, LedgerError> {
    let unusable = |error: std::io::Error| LedgerError::new(error.to_string());
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let path = std::path::absolute(path).map_err(unusable)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(LedgerError::new("this is a folder: name a file in it"));
    };
    let folder = folder.canonicalize();
    let folder = folder.map_err(|error| LedgerError::new(format!("its folder: {error}")))?;
    Ok(folder.join(name))
}
