//! Secrets that are in an argument, a variable or a file, and must not be in anything that is printed.

use std::process::Output;

use crate::support::{
    binary::{Workdir, refusal_of},
    permissions::set_mode,
};

const PASSWORD: &str = "Rahasia-77a1";

/// Everything that a command prints. It does not contain the password.
fn printed(output: &Output, context: &str) -> String {
    let bytes = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8(bytes).unwrap();
    assert!(!text.is_empty(), "{context}");
    assert!(!text.contains(PASSWORD), "{context}: {text}");
    // Nor a part of it.
    assert!(!text.contains("77a1"), "{context}: {text}");
    text
}

/// URLs with a password, as people write them.
fn urls(scheme: &str) -> Vec<String> {
    let ends = [
        format!("{scheme}://shop:{PASSWORD}@db.example/tally"),
        format!("{scheme}://shop:{PASSWORD}@db.example:5432/tally?x=y"),
        format!("{scheme}://:{PASSWORD}@db.example"),
        format!("{scheme}://{PASSWORD}@db.example"),
        // Characters that belong encoded.
        format!("{scheme}://shop:a@b/c?d#{PASSWORD}@db.example/tally"),
        format!("{scheme}://shop:a b {PASSWORD}@db.example/tally"),
        format!("{scheme}://shop:12/{PASSWORD}@db.example/tally"),
        format!("{scheme}://shop:'{PASSWORD}'@db.example/tally"),
        format!("{scheme}://shop:\"{PASSWORD}\"@db.example/tally"),
        format!("{scheme}://db.example/tally?user=shop&password={PASSWORD}"),
        format!("{scheme}://db.example/tally?sslpassword={PASSWORD}&x=y"),
        // Slips.
        format!("{scheme}//shop:{PASSWORD}@db.example/tally"),
        format!("{scheme}:shop:{PASSWORD}@db.example/tally"),
        format!("shop:{PASSWORD}@db.example/tally"),
    ];
    ends.into()
}

#[tokio::test]
async fn no_error_shows_the_password_of_the_ledger() {
    let workdir = Workdir::new();
    let key = ["--jwt-secret-file", "secret.txt"];
    for scheme in ["postgres", "postgresql", "redis", "sqlite:postgres"] {
        for url in urls(scheme) {
            if url.starts_with("sqlite:") && !url.contains("postgres://") {
                // That is a file's name.
                continue;
            }
            let listen = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
            let serve = [["serve"].as_slice(), &key, &listen, &["--ledger", &url]].concat();
            let output = workdir.run(&serve).await;
            let (line, _) = refusal_of(&output);
            printed(&output, &url);
            assert!(line.contains("db.example"), "{url}: {line}");

            let check = [["check-config"].as_slice(), &key].concat();
            let output = workdir
                .command(&check)
                .env("TALLYCAST_LEDGER", &url)
                .output();
            let text = printed(&output.await.unwrap(), &url);
            assert!(text.contains("ledger = \""), "{url}: {text}");

            let quoted = serde_json::to_string(&url).unwrap();
            workdir.write("server.toml", &format!("ledger = {quoted}\n"));
            let config = ["--config", "server.toml"];
            let output = workdir.run(&[check.as_slice(), &config].concat()).await;
            printed(&output, &url);
        }
    }
}

#[tokio::test]
async fn a_shown_ledger_without_a_password_is_as_it_was_given() {
    let workdir = Workdir::new();
    for ledger in ["sqlite:/data/a@b/c:d@e.db", "sqlite:shop@home.db", "memory"] {
        let args = [
            "check-config",
            "--jwt-secret-file",
            "secret.txt",
            "--ledger",
            ledger,
        ];
        let shown = workdir.prints(&args).await;
        assert!(shown.contains(&format!("ledger = \"{ledger}\"")), "{shown}");
    }
}

#[tokio::test]
async fn no_error_shows_the_password_of_a_server() {
    let workdir = Workdir::new();
    set_mode(
        &workdir.write("rows.csv", "account,amount\nalice,1\n"),
        0o600,
    );
    let replay = [
        "replay",
        "rows.csv",
        "--account-column",
        "account",
        "--amount-column",
        "amount",
        "--retry-for",
        "0",
        "--token",
        "x",
        "--to",
    ];
    let bench = ["bench", "--token", "x", "--to"];
    let watch = ["watch", "alice", "--token", "x", "--url"];
    let export = [
        "export",
        "alice",
        "--token",
        "x",
        "--attempts",
        "1",
        "--url",
    ];
    let commands = [replay.as_slice(), &bench, &watch, &export];
    let refused = async |command: &[&str], url: &str| {
        let output = workdir.run(&[command, &[url]].concat()).await;
        assert!(!output.status.success(), "{url}: {output:?}");
        printed(&output, url);
    };
    for scheme in ["http", "ftp", "postgres"] {
        for url in urls(scheme) {
            // The other ones are right, and retried if nobody answers.
            if !reqwest::Url::parse(&url).is_ok_and(|url| url.scheme() == "http") {
                for command in commands {
                    refused(command, &url).await;
                }
            }
        }
    }
    let unreachable = format!("http://shop:{PASSWORD}@127.0.0.1:9/");
    for command in [replay.as_slice(), &bench, &export] {
        refused(command, &unreachable).await;
    }
}

#[tokio::test]
async fn no_error_of_an_argument_shows_a_secret() {
    let workdir = Workdir::new();
    let url = format!("postgres://shop:{PASSWORD}@db.example/tally");
    let query = format!("http://db.example/?token={PASSWORD}");
    let option = format!("password={PASSWORD}");
    let flag = format!("--jwt-secret={PASSWORD}");
    let key = ["--jwt-secret-file", "secret.txt"];
    for more in [
        &[url.as_str()] as &[&str],
        &[&query],
        &[&option],
        &[&flag],
        &["--jwt-secret", PASSWORD],
        &["--listen", &url],
        &["--admin-listen", &url],
        &["--allowed-origins", &url],
        &["--log", &url],
        &["--connections-max", &url],
        &["--page", &url],
        &["--tls-key-file", &url],
        &["--tls-key-file", &url, "--tls-certificate-file", &url],
        &["--config", &url],
        &["--jwt-jwks-file", &url],
    ] {
        let args = [["serve", "--ledger", "memory"].as_slice(), &key, more].concat();
        let output = workdir.run(&args).await;
        refusal_of(&output);
        printed(&output, &format!("{more:?}"));
    }
}

#[tokio::test]
async fn no_help_shows_the_password_of_a_variable() {
    let workdir = Workdir::new();
    let url = format!("http://shop:{PASSWORD}@shop.example");
    for args in [["watch", "--help"], ["export", "-h"], ["serve", "--help"]] {
        let mut command = workdir.command(args);
        for variable in ["URL", "LEDGER", "TOKEN", "JWT_SECRET"] {
            command.env(format!("TALLYCAST_{variable}"), &url);
        }
        printed(&command.output().await.unwrap(), &format!("{args:?}"));
    }
}

#[tokio::test]
async fn no_error_of_a_configuration_file_shows_the_secret() {
    let workdir = Workdir::new();
    for (text, place) in [
        (format!("jwt_secret = \"{PASSWORD}\n"), "line 1"),
        (format!("jwt_secret = {PASSWORD}\n"), "line 1"),
        (format!("listen = \"a\"\njwt_secret {PASSWORD}\n"), "line 2"),
        (format!("jwt_secret = \"{PASSWORD}\" x\n"), "line 1"),
        (format!("jwt_secret = \"{PASSWORD}\\q\"\n"), "line 1"),
        (
            format!("jwt_secret = \"x\"\njwt_secret = \"{PASSWORD}\"\n"),
            "line 2",
        ),
        (format!("jwt_secret = [\"{PASSWORD}\"]\n"), "jwt_secret"),
        (
            format!("jwt_secret = {{ a = \"{PASSWORD}\" }}\n"),
            "jwt_secret",
        ),
        (
            format!("drain_seconds = \"http://a:{PASSWORD}@b\"\n"),
            "drain_seconds",
        ),
    ] {
        workdir.write("server.toml", &text);
        let output = workdir.run(&["serve", "--config", "server.toml"]).await;
        let (line, code) = refusal_of(&output);
        assert_eq!(code, 2, "{line}");
        assert!(
            line.contains("server.toml") && line.contains(place),
            "{line}"
        );
        printed(&output, &text);
    }
    // A secret of digits.
    let digits = "77231977231977231977231977231977231977";
    for secret in [digits, &digits[..12]] {
        workdir.write("server.toml", &format!("jwt_secret = {secret}\n"));
        let (line, _) = workdir.refusal(&["serve", "--config", "server.toml"]).await;
        assert!(!line.contains(secret), "{line}");
    }
}

#[tokio::test]
async fn no_log_shows_the_password_of_a_url() {
    let workdir = Workdir::new();
    // A path is logged as it was given.
    let path = format!("https://shop:{PASSWORD}@db.example/previous.txt");
    let folder = workdir.path().join(&path);
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    set_mode(
        &workdir.write(&path, "a secret that was used before this one"),
        0o644,
    );
    for format in ["pretty", "json"] {
        let args = [
            "--ledger",
            "memory",
            "--jwt-previous-secret-file",
            &path,
            "--log",
            format,
        ];
        let log = workdir.serve(&args).await.ended().await;
        let line = log.lines().find(|line| line.contains("chmod 600"));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        assert!(
            line.contains("https://shop:***@db.example/previous.txt"),
            "{log}"
        );
        assert!(!log.contains(PASSWORD), "{log}");
    }
}

#[tokio::test]
async fn no_error_shows_the_password_of_a_proxy() {
    let workdir = Workdir::new();
    let proxy = format!("http://shop:{PASSWORD}@127.0.0.1:9");
    let export = ["export", "alice", "--token", "x", "--attempts", "1"];
    for server in ["http://server.example", "https://server.example"] {
        for variable in ["http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            let args = [export.as_slice(), &["--url", server]].concat();
            let output = workdir.command(args).env(variable, &proxy).output().await;
            printed(&output.unwrap(), variable);
        }
    }
}
