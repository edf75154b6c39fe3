use std::{
    fs::Metadata,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use tower_http::services::fs::{Backend, TokioBackend, TokioFile};

/// A result of a file operation, later.
type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// The files of a folder, as [`ServeDir`](tower_http::services::ServeDir) reads them.
///
/// Links are followed, since deployments and Kubernetes use them, but only to what is in the folder as well. Pipes
/// and devices are not there: opening a pipe would wait for its writer, and a device has no end.
#[derive(Debug, Clone)]
pub(super) struct FolderFiles(Arc<Path>);

impl FolderFiles {
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.into())
    }

    /// The path without links of a file or a folder. It blocks.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) if the path leads to neither, or out of the folder.
    pub(super) fn find(&self, path: &Path) -> io::Result<(PathBuf, Metadata)> {
        // Whatever the reason, also a loop of links or a name that is too long: no such file is served.
        let not_found = |_| io::Error::from(io::ErrorKind::NotFound);
        let path = path.canonicalize().map_err(not_found)?;
        // The folder may be a link that is switched from one version of a page to the next.
        let folder = self.0.canonicalize().map_err(not_found)?;
        if !path.starts_with(folder) {
            let why = "a link leads out of the folder";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let metadata = path.metadata()?;
        match metadata.is_file() || metadata.is_dir() {
            true => Ok((path, metadata)),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    async fn find_later(self, path: PathBuf) -> io::Result<(PathBuf, Metadata)> {
        let found = tokio::task::spawn_blocking(move || self.find(&path));
        found.await.map_err(io::Error::other)?
    }
}

impl Backend for FolderFiles {
    type File = TokioFile;
    type Metadata = Metadata;
    type OpenFuture = Pending<TokioFile>;
    type MetadataFuture = Pending<Metadata>;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let files = self.clone();
        Box::pin(async move {
            let (path, _) = files.find_later(path).await?;
            TokioBackend.open(path).await
        })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let files = self.clone();
        Box::pin(async move { Ok(files.find_later(path).await?.1) })
    }
}
