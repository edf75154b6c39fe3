//! Text from elsewhere cannot command a terminal: every command escapes it on stderr, and on a stdout that is a
//! terminal.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{
    binary::Workdir,
    scripted_server::{ScriptedServer, page, refused},
    terminal::shown_on_a_terminal,
};

/// Escape sequences (7 and 8 bits), a bell, a backspace, DEL, new lines, and every control of the text's direction.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\u{8}\u{7f}\u{85}\r\nforged\t\u{61c}\u{200e}\u{200f}\u{202a}\
    \u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{2028}\u{2029}";

/// Whether a terminal would do more with this character than show it.
fn is_hostile(character: char) -> bool {
    character.is_control() || (HOSTILE.contains(character) && !character.is_ascii())
}

/// Asserts that only whole lines of harmless text are there, and that none is forged.
fn assert_harmless(shown: &str) {
    let found = shown.chars().find(|c| is_hostile(*c) && *c != '\n');
    assert_eq!(found, None, "{shown:?}");
    assert!(
        !shown.lines().any(|line| line.starts_with("forged")),
        "{shown:?}"
    );
    assert!(shown.contains("owned"), "{shown:?}");
}

fn hostile_entry() -> Value {
    json!({ "offset": 1, "id": HOSTILE, "source": HOSTILE, "kind": "consumption", "amount": "1", "unit": HOSTILE,
        "meter": HOSTILE, "category": HOSTILE, "description": HOSTILE, "time": HOSTILE,
        "attributes": { "note": HOSTILE } })
}

fn hostile_refusal() -> Response {
    refused(StatusCode::FORBIDDEN, HOSTILE, HOSTILE)
}

fn command(workdir: &Workdir, server: &ScriptedServer, words: &[&str]) -> Command {
    let to = match words[0] {
        "replay" => "--to",
        _ => "--url",
    };
    workdir.command([words, &[to, &server.url, "--token", "x"]].concat())
}

/// What a command shows, once on a terminal and once where stdout and stderr are pipes.
async fn shown(words: &[&str], answers: impl Fn() -> Vec<Response>) -> (String, String, String) {
    let workdir = Workdir::new();
    let rows = format!("customer_id,date,dollars\n\"{HOSTILE}\",1997-01-01,1\n");
    workdir.write("cells.csv", &rows);
    workdir.write(
        "good.csv",
        "customer_id,date,dollars\na,1997-01-01T00:00:00Z,1\n",
    );
    let server = ScriptedServer::of(answers()).await;
    let (_, screen) = shown_on_a_terminal(command(&workdir, &server, words)).await;
    let screen = without_bar(&screen);
    let server = ScriptedServer::of(answers()).await;
    let piped = command(&workdir, &server, words).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (screen, text(piped.stdout), text(piped.stderr))
}

/// Removes what erases a progress bar, and what moves the cursor within one.
fn without_bar(screen: &str) -> String {
    let screen = screen.replace("\r\u{1b}[2K", "\n");
    let mut parts = screen.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| {
        let moved = part.trim_start_matches(|c: char| c.is_ascii_digit());
        match moved.strip_prefix(['A', 'B']) {
            Some(rest) => shown + rest,
            None => shown + "\u{1b}[" + part,
        }
    })
}

#[tokio::test]
async fn watch_shows_hostile_text_as_text() {
    let snapshot = || {
        let totals = json!([{ "meter": HOSTILE, "unit": HOSTILE, "all": { "amount": HOSTILE, "count": 1 } }]);
        let snapshot = json!({ "type": "snapshot", "account": "alice", "position": "p", "offset": 1,
            "reason": HOSTILE, "recent": [hostile_entry()], "totals": totals });
        vec![Json(snapshot).into_response(), hostile_refusal()]
    };
    let (screen, out, errors) = shown(&["watch", "alice"], snapshot).await;
    assert_harmless(&screen);
    assert_harmless(&out);
    assert_eq!(out.lines().count(), 3, "{out}");
    assert_harmless(&errors);
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[tokio::test]
async fn export_escapes_on_a_terminal_and_changes_nothing_elsewhere() {
    let pages = || vec![page("one", [hostile_entry()], None)];
    let (screen, out, _) = shown(&["export", "alice"], pages).await;
    assert_harmless(&screen);
    let entry = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    assert_eq!(entry(&screen), hostile_entry(), "it is still JSON");
    assert_eq!(out, format!("{}\n", hostile_entry()));

    for more in [&[] as &[&str], &["--raw"]] {
        let words = [&["export", "alice", "--format", "csv"], more].concat();
        let (screen, out, _) = shown(&words, pages).await;
        // A table's lines end so; a line that the text forges would be found.
        let screen = screen.replace("\r\n", "\n");
        assert_harmless(&screen);
        assert_eq!(screen.lines().count(), 2, "a header and a row: {screen}");
        assert!(out.contains(HOSTILE), "{out:?}");
    }
}

#[tokio::test]
async fn what_a_hostile_server_answers_is_shown_as_text() {
    for words in [
        &["export", "alice"] as &[&str],
        &["watch", "alice"],
        &["replay", "good.csv"],
    ] {
        let (screen, _, errors) = shown(words, || vec![hostile_refusal()]).await;
        assert_harmless(&screen);
        assert_harmless(&errors);
        assert_eq!(errors.lines().count(), 1, "{errors}");

        let garbled = || vec![(StatusCode::FORBIDDEN, HOSTILE).into_response()];
        let (screen, _, errors) = shown(words, garbled).await;
        assert_harmless(&screen);
        assert_harmless(&errors);
    }
}

#[tokio::test]
async fn a_reason_to_retry_is_shown_as_text() {
    let busy = || refused(StatusCode::SERVICE_UNAVAILABLE, HOSTILE, HOSTILE);
    for words in [
        &["export", "alice"] as &[&str],
        &["watch", "alice"],
        &["replay", "good.csv"],
    ] {
        let (screen, _, errors) = shown(words, || vec![busy(), hostile_refusal()]).await;
        assert_harmless(&screen);
        assert_harmless(&errors);
        assert_eq!(errors.lines().count(), 2, "{errors}");
    }
}

#[tokio::test]
async fn a_long_answer_is_not_shown_whole() {
    let long = || {
        let detail = "owned ".repeat(100_000);
        vec![refused(StatusCode::FORBIDDEN, &detail, &detail)]
    };
    for words in [
        &["export", "alice"] as &[&str],
        &["watch", "alice"],
        &["replay", "good.csv"],
    ] {
        let (_, _, errors) = shown(words, long).await;
        assert!(errors.contains("owned"), "{errors}");
        assert!(errors.len() < 4_000, "{} bytes", errors.len());
    }
}

#[tokio::test]
async fn replay_shows_results_and_cells_as_text() {
    let rejected = || {
        let result = json!({ "status": "rejected", "code": HOSTILE, "message": HOSTILE });
        vec![Json(json!({ "results": [result] })).into_response()]
    };
    let (screen, out, _) = shown(&["replay", "good.csv"], rejected).await;
    assert_harmless(&screen);
    assert_harmless(&out);
    assert_eq!(out.lines().count(), 2, "a reason and the sums: {out}");

    for column in ["--time-column", "--amount-column", "--account-column"] {
        let named = if column == "--account-column" {
            "date"
        } else {
            "customer_id"
        };
        let words = ["replay", "cells.csv", column, named];
        let (screen, _, errors) = shown(&words, || vec![hostile_refusal()]).await;
        for text in [screen, errors] {
            assert!(
                text.chars().all(|c| c == '\n' || !is_hostile(c)),
                "{text:?}"
            );
        }
    }
    let words = [
        "replay",
        "cells.csv",
        "--unit",
        HOSTILE,
        "--amount-column",
        HOSTILE,
    ];
    let (screen, _, errors) = shown(&words, Vec::new).await;
    assert_harmless(&screen);
    assert_harmless(&errors);
}

#[tokio::test]
async fn what_is_wrong_with_arguments_and_settings_is_shown_as_text() {
    let workdir = Workdir::new();
    let strange = format!("{HOSTILE} = 1");
    workdir.write("strange.toml", &format!("{:?} = 1", "owned\u{9b}\u{202e}"));
    workdir.write("broken.toml", &strange);
    for words in [
        &["check-config", "--config", "strange.toml"] as &[&str],
        &["check-config", "--config", "broken.toml"],
        &["bench", "--to", HOSTILE, "--token", "x"],
        &["token", "--jwt-secret-file", HOSTILE, "--sub", "alice"],
        &[
            "serve",
            "--ledger",
            HOSTILE,
            "--jwt-secret-file",
            "secret.txt",
        ],
        &["serve", "--jwt-secret-file", HOSTILE],
        &["demo", "--page", HOSTILE, "--no-open"],
        &["demo", "--listen", HOSTILE, "--no-open"],
        &[HOSTILE],
    ] {
        let (_, screen) = shown_on_a_terminal(workdir.command(words)).await;
        assert_eq!(screen.lines().count(), 1, "{screen:?}");
        assert!(
            screen.chars().all(|c| c == '\n' || !is_hostile(c)),
            "{screen:?}"
        );
    }
    // A setting that is shown, not refused.
    let words = [
        "check-config",
        "--jwt-secret-file",
        "secret.txt",
        "--jwt-issuer",
        HOSTILE,
    ];
    let (code, screen) = shown_on_a_terminal(workdir.command(words)).await;
    assert_eq!(code, Some(0), "{screen:?}");
    assert_harmless(&screen);
}
