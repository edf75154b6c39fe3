use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::cli::Failure;

/// A file beside the one that is asked for, which takes its place when it is whole. Dropped before, it
/// is removed, and whatever was there stays.
pub(super) struct Draft {
    file: NamedTempFile,
    path: PathBuf,
}

impl Draft {
    pub(super) fn of(path: PathBuf) -> Result<Self, Failure> {
        // Where a link leads to is replaced, not the link.
        let path = fs::canonicalize(&path).unwrap_or(path);
        // A device or a pipe must not be replaced by a file.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(Failure::usage(format_args!(
                "output {}: it is no file; without --output the export goes to stdout",
                path.display()
            )));
        }
        let file = beside(&path).map_err(|why| {
            Failure::usage(format_args!(
                "output {}: no file can be made there: {why}",
                path.display()
            ))
        })?;
        Ok(Self { file, path })
    }

    /// Puts it where it was asked for, after a crash too.
    pub(super) fn publish(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(self.path)?;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tallycast-export-");
    #[cfg(unix)]
    builder.permissions(permissions(path));
    builder.tempfile_in(path.parent().unwrap_or(Path::new("")))
}

/// Those of the file that is replaced: who could not read it still cannot. A new file's are left to the
/// umask.
#[cfg(unix)]
fn permissions(path: &Path) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    match fs::metadata(path) {
        Ok(found) => found.permissions(),
        Err(_) => fs::Permissions::from_mode(0o666),
    }
}
