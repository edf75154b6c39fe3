//! Who can read the files that the binary writes, and those with secrets that it reads.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::support::{
    binary::{ServedBinary, Workdir},
    permissions::{mode, set_mode},
};

#[tokio::test]
async fn entries_are_written_to_private_files_whatever_the_umask() {
    for umask in ["000", "022", "027", "077"] {
        let workdir = Workdir::new();
        set_mode(workdir.path(), 0o777);
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

/// Lines of a log about a file, which name what to do.
fn told<'a>(log: &'a str, file: &str) -> Vec<&'a str> {
    let cure = format!("chmod 600 {file}");
    let lines = log.lines();
    lines.filter(|line| line.contains(&cure)).collect()
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_told_at_start() {
    let workdir = Workdir::new();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    workdir.write("server.crt", &cert.pem());
    workdir.write("server.key", &signing_key.serialize_pem());
    workdir.write("previous.txt", "a secret that was used before this one");
    let files = ["secret.txt", "previous.txt", "server.key"];
    let args = [
        "--ledger",
        "memory",
        "--jwt-previous-secret-file",
        "previous.txt",
        "--tls-certificate-file",
        "server.crt",
        "--tls-key-file",
        "server.key",
    ];
    let key = ["--jwt-secret-file", "secret.txt"];
    let check = [["check-config"].as_slice(), &key, &args].concat();
    for (mode, is_told) in [
        (0o600, false),
        (0o400, false),
        (0o700, false),
        (0o640, true),
        (0o620, true),
        (0o604, true),
        (0o644, true),
        (0o666, true),
    ] {
        for file in files {
            set_mode(&workdir.path().join(file), mode);
        }
        let log = workdir.serve(&args).await.ended().await;
        let checked = workdir.run(&check).await;
        assert!(checked.status.success(), "{checked:?}");
        let checked = String::from_utf8(checked.stderr).unwrap();
        for file in files {
            for log in [&log, &checked] {
                let lines = told(log, file).len();
                assert_eq!(lines, usize::from(is_told), "{file}, {mode:o}: {log}");
            }
        }
        // What is no secret may be read by everybody.
        assert!(!log.contains("server.crt"), "{log}");
        assert_eq!(checked.lines().count(), if is_told { 3 } else { 0 });
    }
}

#[tokio::test]
async fn a_configuration_that_contains_a_secret_is_one() {
    let workdir = Workdir::new();
    let check = ["check-config", "--config", "server.toml"];
    for (text, variable, is_told) in [
        (
            "jwt_secret = \"a secret that is long enough for us\"",
            "",
            true,
        ),
        // It is in the file, used or not.
        (
            "jwt_secret = \"a secret that is long enough for us\"",
            "another secret that is long enough for us",
            true,
        ),
        ("jwt_secret_file = \"secret.txt\"", "", false),
    ] {
        set_mode(&workdir.write("server.toml", text), 0o644);
        let mut command = workdir.command(check);
        if !variable.is_empty() {
            command.env("TALLYCAST_JWT_SECRET", variable);
        }
        let output = command.output().await.unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            told(&log, "server.toml").len(),
            usize::from(is_told),
            "{log}"
        );
    }
}
