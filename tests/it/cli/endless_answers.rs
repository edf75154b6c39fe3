//! No command reads without an end: an answer that is too long is not Tallycast's, and a file not a token.

use reqwest::StatusCode;
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::support::{
    binary::{Workdir, refusal_of},
    scripted_server::{ScriptedServer, long_answer},
};

/// Many times more than any answer of Tallycast, and little enough for a machine on which this test fails.
const LONG: usize = 64 * 1024 * 1024;

#[tokio::test]
async fn an_answer_that_does_not_end_is_left() {
    let workdir = Workdir::new();
    workdir.write(
        "sales.csv",
        "customer_id,date,dollars\na,1997-01-01T00:00:00Z,1\n",
    );
    for status in [StatusCode::OK, StatusCode::FORBIDDEN] {
        for words in [
            ["export", "alice", "--url"],
            ["watch", "alice", "--url"],
            ["replay", "sales.csv", "--to"],
        ] {
            let server = ScriptedServer::of([long_answer(status, LONG)]).await;
            let words = [words.as_slice(), &[&server.url, "--token", "x"]].concat();
            let mut output = workdir.run(&words).await;
            if words[0] == "replay" {
                assert!(output.stdout.starts_with(b"recorded 0"), "{output:?}");
                output.stdout.clear();
            }
            let (line, code) = refusal_of(&output);
            assert_eq!(code, 1, "{line}");
            assert!(line.contains("longer than 8 MiB"), "{line}");
        }
    }
}

#[tokio::test]
async fn a_token_file_that_does_not_end_is_left() {
    let workdir = Workdir::new();
    workdir.write("token.txt", &"x".repeat(1024 * 1024));
    let words = ["watch", "alice", "--token-file", "token.txt", "--url"];
    let server = ScriptedServer::of([]).await;
    let (line, code) = workdir
        .refusal(&[&words, [&*server.url].as_slice()].concat())
        .await;
    assert_eq!(code, 2, "{line}");
    assert!(line.contains("token.txt: too long for a token"), "{line}");
}

/// A server whose every answer is `text`, as it is.
async fn raw_server(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            connection.readable().await.unwrap();
            // A client that has gone is no failure of the server.
            let _ = connection.write_all(text.as_bytes()).await;
            open.push(connection);
        }
    });
    url
}

#[tokio::test]
async fn bench_refuses_an_answer_of_any_length() {
    let workdir = Workdir::new();
    for length in [
        "18446744073709551615",
        "99999999999",
        "99999999999999999999",
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let url = raw_server(answer.leak()).await;
        let words = [
            "bench",
            "--to",
            &url,
            "--token",
            "x",
            "--workload",
            "ingest",
        ];
        let (line, code) = workdir.refusal(&words).await;
        assert_eq!(code, 1, "{line}");
        assert!(line.contains("unreadable message: HTTP/1.1 200"), "{line}");
    }
}
