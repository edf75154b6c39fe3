use crate::support::binary::{Workdir, refusal_of};

#[tokio::test]
async fn flag_wins_over_variable_over_file_over_default() {
    let workdir = Workdir::new();
    workdir.write(
        "tallycast.toml",
        "listen = \"127.0.0.1:1001\"\nadmin_listen = \"127.0.0.1:1001\"\n\
         ledger = \"sqlite:of-the-file.db\"\nconnections_max = 5\n\
         allowed_origins = [\"https://of-the.file\"]\n",
    );
    let output = workdir
        .command([
            "check-config",
            "--config",
            "tallycast.toml",
            "--listen",
            "127.0.0.1:1003",
        ])
        .args(["--jwt-secret-file", "secret.txt"])
        .env("TALLYCAST_LISTEN", "127.0.0.1:1002")
        .env("TALLYCAST_ADMIN_LISTEN", "127.0.0.1:1002")
        .env("TALLYCAST_CONNECTIONS_MAX", "6")
        .env(
            "TALLYCAST_ALLOWED_ORIGINS",
            "https://a.example, https://b.example",
        )
        .output()
        .await
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    for (line, origin) in [
        ("listen = \"127.0.0.1:1003\"", "# flag"),
        ("admin_listen = \"127.0.0.1:1002\"", "# environment"),
        ("connections_max = 6", "# environment"),
        (
            "allowed_origins = [\"https://a.example\",\"https://b.example\"]",
            "# environment",
        ),
        ("ledger = \"sqlite:of-the-file.db\"", "# tallycast.toml"),
        ("drain_seconds = 10", "# default"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        assert!(
            found.is_some_and(|found| found.ends_with(origin)),
            "{line} {origin}:\n{shown}"
        );
    }
}

#[tokio::test]
async fn shown_configuration_can_be_used() {
    let workdir = Workdir::new();
    let shown = workdir
        .prints(&["check-config", "--jwt-secret-file", "secret.txt"])
        .await;
    workdir.write("shown.toml", &shown);
    let again = workdir
        .prints(&["check-config", "--config", "shown.toml"])
        .await;
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(" # ").next().unwrap().trim().to_owned())
            .collect()
    };
    assert_eq!(values(&shown), values(&again));
}

#[tokio::test]
async fn secret_is_not_shown() {
    let workdir = Workdir::new();
    let secret = "a secret that is long enough for us";
    let output = workdir
        .command(["check-config"])
        .env("TALLYCAST_JWT_SECRET", secret)
        .output()
        .await;
    let output = output.unwrap();
    assert!(output.status.success());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("jwt_secret = "));
    assert!(!shown.contains(secret));
}

#[tokio::test]
async fn unknown_keys_are_named() {
    let workdir = Workdir::new();
    workdir.write("wrong.toml", "lisen = \"127.0.0.1:1\"\n");
    let (line, code) = workdir.refusal(&["serve", "--config", "wrong.toml"]).await;
    assert!(
        line.contains("wrong.toml") && line.contains("\"lisen\""),
        "{line}"
    );
    assert_eq!(code, 2);

    let output = workdir
        .command(["serve"])
        .env("TALLYCAST_LISEN", "x")
        .output()
        .await
        .unwrap();
    let (line, code) = refusal_of(&output);
    assert!(
        line.contains("environment") && line.contains("\"lisen\""),
        "{line}"
    );
    assert_eq!(code, 2);

    let (line, code) = workdir.refusal(&["serve", "--lisen", "x"]).await;
    assert!(line.contains("--lisen"), "{line}");
    assert_eq!(code, 2);
}

#[tokio::test]
async fn variables_of_kubernetes_are_not_ours() {
    let workdir = Workdir::new();
    let output = workdir
        .command(["check-config", "--jwt-secret-file", "secret.txt"])
        .env("TALLYCAST_PORT", "tcp://10.0.0.1:3000")
        .env("TALLYCAST_PORT_3000_TCP_ADDR", "10.0.0.1")
        .env("TALLYCAST_SERVICE_HOST", "10.0.0.1")
        .env("TALLYCAST_SERVICE_PORT_HTTP", "3000")
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn wrong_values_are_told_in_one_line() {
    let workdir = Workdir::new();
    workdir.write("short.txt", "short");
    workdir.write("wrong.toml", "connections_max = \"many\"\n");
    workdir.write("broken.toml", "listen = \n");
    let key = ["--jwt-secret-file", "secret.txt"];
    for (args, culprit) in [
        (&["--config", "missing.toml"] as &[&str], "missing.toml"),
        (&["--config", "broken.toml"], "broken.toml"),
        (&["--config", "wrong.toml"], "connections_max"),
        (&[], "--jwt-secret-file"),
        (&["--jwt-secret-file", "missing.txt"], "missing.txt"),
        (&["--jwt-secret-file", "short.txt"], "short.txt"),
        (
            &[
                "--jwt-secret-file",
                "secret.txt",
                "--jwt-jwks-file",
                "short.txt",
            ],
            "jwt_jwks_file",
        ),
        (&["--jwt-public-key-file", "short.txt"], "short.txt"),
        (
            &[&key, ["--ledger", "postgres"].as_slice()].concat(),
            "postgres",
        ),
        (
            &[&key, ["--allowed-origins", "example.com"].as_slice()].concat(),
            "example.com",
        ),
        (
            &[&key, ["--tls-key-file", "secret.txt"].as_slice()].concat(),
            "tls_certificate_file",
        ),
        (
            &[
                &key,
                [
                    "--tls-key-file",
                    "secret.txt",
                    "--tls-certificate-file",
                    "none.pem",
                ]
                .as_slice(),
            ]
            .concat(),
            "none.pem",
        ),
        (
            &[&key, ["--log-level", "a=b=c"].as_slice()].concat(),
            "log_level",
        ),
        (&[&key, ["--log", "xml"].as_slice()].concat(), "--log"),
    ] {
        let (line, code) = workdir
            .refusal(&[["serve"].as_slice(), args].concat())
            .await;
        assert!(
            line.starts_with("tallycast: ") && line.contains(culprit),
            "{args:?}: {line}"
        );
        assert_eq!(code, 2, "{line}");
    }
}
