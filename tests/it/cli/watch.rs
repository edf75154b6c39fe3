use std::process::Stdio;

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

use crate::support::binary::{ServedBinary, Workdir};

struct Watcher {
    _process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watcher {
    async fn start(workdir: &Workdir, served: &ServedBinary) -> Self {
        workdir.write("token.txt", &workdir.token(&[]).await);
        let args = [
            "watch",
            "alice",
            "--url",
            &served.public,
            "--token-file",
            "token.txt",
        ];
        let mut process = workdir
            .command(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            _process: process,
            lines,
        }
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("it goes on")
    }
}

#[tokio::test]
async fn watch_shows_entries_and_totals_through_a_restart() {
    let workdir = Workdir::new();
    let mut served = workdir.serve(&[]).await;
    served.record(&workdir, "one", "12.50").await;
    let mut watcher = Watcher::start(&workdir, &served).await;
    assert!(watcher.line().await.starts_with("snapshot at 1"));
    let entry = watcher.line().await;
    assert!(
        entry.starts_with("#1 ") && entry.contains("12.50  CNY"),
        "{entry}"
    );
    assert!(
        entry.contains("Noodle bar") && !entry.contains('\u{1b}'),
        "{entry:?}"
    );
    assert!(
        watcher
            .line()
            .await
            .starts_with("total  spend  12.50 CNY (1)")
    );

    served.record(&workdir, "two", "1.25").await;
    assert!(watcher.line().await.starts_with("#2 "));
    assert!(
        watcher
            .line()
            .await
            .starts_with("total  spend  13.75 CNY (2)")
    );

    let address = served.address().to_owned();
    served.signal(Signal::KILL);
    served.process.wait().await.unwrap();
    let served = ServedBinary::start(&workdir, &[&address], &[]).await;
    served.record(&workdir, "three", "1").await;
    assert!(watcher.line().await.starts_with("#3 "));
    assert!(
        watcher
            .line()
            .await
            .starts_with("total  spend  14.75 CNY (3)")
    );
}

#[tokio::test]
async fn refused_watch_ends_with_the_reason() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let token = workdir.token(&[]).await;
    for (account, token, reason) in [("bob", token.as_str(), "not_found"), ("alice", "x", "401")] {
        let args = ["watch", account, "--url", &served.public, "--token", token];
        let (line, code) = workdir.refusal(&args).await;
        assert!(line.contains(reason), "{line}");
        assert_eq!(code, 1);
    }
    let (line, code) = workdir
        .refusal(&["watch", "alice", "--url", &served.public])
        .await;
    assert!(line.contains("--token"), "{line}");
    assert_eq!(code, 2);
}

#[tokio::test]
async fn watch_shows_an_alert_with_its_budget() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let token = workdir.token(&["--scope", "admin"]).await;
    let profile = serde_json::json!({ "budgets": [{
        "id": "month", "unit": "CNY", "window": "month", "limit": "10", "thresholds": [80] }] });
    let edited = reqwest::Client::new()
        .put(format!("{}/v1/accounts/alice", served.public))
        .bearer_auth(token)
        .json(&profile);
    assert_eq!(edited.send().await.unwrap().status(), 200);
    let mut watcher = Watcher::start(&workdir, &served).await;
    assert!(watcher.line().await.starts_with("snapshot at 0"));

    served.record(&workdir, "one", "8.50").await;
    assert!(watcher.line().await.starts_with("#1 "));
    let alert = watcher.line().await;
    assert!(alert.starts_with("#2 "), "{alert}");
    assert!(
        alert.ends_with("  alert  month  80 %: 8.50 of 10 CNY"),
        "{alert}"
    );
}
