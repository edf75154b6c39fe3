//! Who can read the files that the binary writes.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::support::binary::{ServedBinary, Workdir};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn entries_are_written_to_private_files_whatever_the_umask() {
    for umask in ["000", "022", "027", "077"] {
        let workdir = Workdir::new();
        fs::set_permissions(workdir.path(), Permissions::from_mode(0o777)).unwrap();
        let serve = [
            "serve",
            "--jwt-secret-file",
            "secret.txt",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        let served = ServedBinary::started(workdir.command_under(umask, serve)).await;
        served.record(&workdir, "one", "12.50").await;

        let token = workdir.token(&[]).await;
        let export = [
            "export",
            "alice",
            "--token",
            &token,
            "--output",
            "alice.csv",
        ];
        let export = [&export, ["--url", &served.public].as_slice()].concat();
        let mut export = workdir.command_under(umask, export);
        assert!(export.status().await.unwrap().success());

        for name in [
            "consumption.db",
            "consumption.db-wal",
            "consumption.db-shm",
            "consumption.db-marker",
            "consumption.db-seal",
            "alice.csv",
        ] {
            let found = mode(&workdir.path().join(name));
            assert_eq!(found, 0o600, "{name} under {umask}: {found:o}");
        }
    }
}
