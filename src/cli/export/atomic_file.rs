use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::cli::command_error::CommandError;

/// A temporary file that replaces the file at `path` once it is complete. Dropped before that, it is removed, and
/// the file at `path` stays as it was.
pub(super) struct AtomicFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    pub(super) fn create(path: PathBuf) -> Result<Self, CommandError> {
        // Replaces the target of a symbolic link, not the link.
        let path = fs::canonicalize(&path).unwrap_or(path);
        // Must not replace a device or a pipe.
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(CommandError::usage(format_args!(
                "output {}: not a regular file; omit --output to write to stdout",
                path.display()
            )));
        }
        let file = temporary_file(&path).map_err(|why| {
            CommandError::usage(format_args!(
                "output {}: cannot create a file in its folder: {why}",
                path.display()
            ))
        })?;
        Ok(Self { file, path })
    }

    /// Replaces the file at `path`. Syncs first, so that the new file is complete after a crash too.
    pub(super) fn persist(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(self.path)?;
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tallycast-export-");
    // Of the file that is replaced, so that it stays as private as it was. A new file is its owner's only, as the
    // ledger is: it holds the same entries.
    if let Ok(replaced) = fs::metadata(path) {
        builder.permissions(replaced.permissions());
    }
    builder.tempfile_in(path.parent().unwrap_or(Path::new("")))
}
