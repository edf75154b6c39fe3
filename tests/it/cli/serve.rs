use futures_util::{SinkExt, StreamExt, stream};
use rustix::process::Signal;
use tallycast::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Bytes, Message},
};

use crate::support::binary::{ServedBinary, Workdir};

#[tokio::test]
async fn listeners_are_announced_and_serve() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    for health in ["live", "ready"] {
        let url = format!("{}/health/{health}", served.admin);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
        let public = format!("{}/health/{health}", served.public);
        assert_eq!(reqwest::get(public).await.unwrap().status(), 404);
    }
    let metrics = reqwest::get(format!("{}/metrics", served.admin))
        .await
        .unwrap();
    assert_eq!(metrics.status(), 200);
    served.record(&workdir, "one", "12.50").await;
}

#[tokio::test]
async fn signals_end_it_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let workdir = Workdir::new();
        let served = workdir.serve(&[]).await;
        served.record(&workdir, "one", "12.50").await;
        served.signal(signal);
        assert_eq!(served.exit_code().await, Some(0), "{signal:?}");
        assert!(workdir.path().join("consumption.db").exists());
    }
}

/// A request that the server waits for, because its body is not complete.
async fn unfinished_request(served: &ServedBinary) -> TcpStream {
    let mut tcp = TcpStream::connect(served.address()).await.unwrap();
    let head =
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n";
    let token = Workdir::new().token(&["--scope", "record"]).await;
    let head = format!("{head}Authorization: Bearer {token}\r\n\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    // It asks for the body, so the request is under way.
    let mut answer = [0; 12];
    tcp.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    tcp
}

#[tokio::test]
async fn request_under_way_is_finished_before_the_end() {
    let workdir = Workdir::new();
    let mut served = workdir.serve(&["--ledger", "memory"]).await;
    let mut request = unfinished_request(&served).await;
    served.signal(Signal::TERM);
    served.says("shutting down").await;
    request.write_all(b"{\"id\":12}").await.unwrap();
    let mut answer = String::new();
    request.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("HTTP/1.1 4"), "{answer}");
    assert_eq!(served.exit_code().await, Some(0));
}

#[tokio::test]
async fn second_signal_ends_it_at_once() {
    let workdir = Workdir::new();
    let mut served = workdir
        .serve(&["--ledger", "memory", "--drain-seconds", "3600"])
        .await;
    let _request = unfinished_request(&served).await;
    served.signal(Signal::TERM);
    served.says("shutting down").await;
    served.signal(Signal::TERM);
    assert_eq!(served.exit_code().await, Some(143));
}

#[tokio::test]
async fn port_in_use_is_told_before_the_ledger_is_touched() {
    let workdir = Workdir::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [
        ("--listen", "--admin-listen"),
        ("--admin-listen", "--listen"),
    ] {
        let args = [
            "serve",
            "--jwt-secret-file",
            "secret.txt",
            flag,
            &address,
            other,
            "127.0.0.1:0",
        ];
        let (line, code) = workdir.refusal(&args).await;
        assert!(line.contains(&address) && line.contains("in use"), "{line}");
        assert_eq!(code, 1);
    }
    assert!(!workdir.path().join("consumption.db").exists());
}

#[tokio::test]
async fn ledger_in_use_is_told() {
    let workdir = Workdir::new();
    let _served = workdir.serve(&[]).await;
    let args = [
        "serve",
        "--jwt-secret-file",
        "secret.txt",
        "--listen",
        "127.0.0.1:0",
    ];
    let (line, code) = workdir
        .refusal(&[&args, ["--admin-listen", "127.0.0.1:0"].as_slice()].concat())
        .await;
    assert!(line.contains("consumption.db"), "{line}");
    assert_eq!(code, 1);
}

#[tokio::test]
async fn log_lines_are_json_if_asked() {
    let workdir = Workdir::new();
    let mut served = workdir
        .serve(&["--ledger", "memory", "--log", "json"])
        .await;
    served.signal(Signal::TERM);
    let line = loop {
        let line = served
            .log
            .next_line()
            .await
            .unwrap()
            .expect("it says that it ends");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["fields"]["message"] == "shutting down" {
            break line;
        }
    };
    assert_eq!(line["fields"]["signal"], "SIGTERM");
}

#[tokio::test]
async fn health_answers_beside_silent_connections() {
    let workdir = Workdir::new();
    let served = workdir.serve(&[]).await;
    let admin = served.admin.trim_start_matches("http://");
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(admin).await.unwrap());
    }
    let live = reqwest::get(format!("{}/health/live", served.admin));
    let live = timeout(Limits::HEAD_TIMEOUT / 2, live).await;
    let live = live.expect("it need not wait for the timeout of the others");
    assert_eq!(live.unwrap().status(), 200);
}

#[tokio::test]
async fn limit_that_is_no_setting_is_logged_and_counted_too() {
    let workdir = Workdir::new();
    let mut served = workdir.serve(&[]).await;
    let url = format!(
        "ws://{}/socket.io/?EIO=4&transport=websocket",
        served.address()
    );
    let (mut socket, _) = connect_async(url).await.unwrap();
    let mut pings = stream::iter((0..200).map(|_| Ok(Message::Ping(Bytes::new()))));
    // The server may close before all are sent.
    let _ = socket.send_all(&mut pings).await;
    while let Some(Ok(_)) = socket.next().await {}
    let metrics = reqwest::get(format!("{}/metrics", served.admin)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let counted = r#"tallycast_limited_total{limit="small_frames"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    served.says("this limit is fixed").await;
}

#[tokio::test]
async fn limit_that_turns_somebody_away_is_logged_once_and_counted() {
    let workdir = Workdir::new();
    let mut served = workdir.serve(&["--sessions-per-address-max", "0"]).await;
    let open = format!("{}/socket.io/?EIO=4&transport=polling", served.public);
    for _ in 0..3 {
        assert_eq!(reqwest::get(&open).await.unwrap().status(), 429);
    }
    let metrics = reqwest::get(format!("{}/metrics", served.admin)).await;
    let metrics = metrics.unwrap().text().await.unwrap();
    let counted = r#"tallycast_limited_total{limit="sessions_per_address_max"} 3"#;
    assert!(metrics.contains(counted), "{metrics}");
    served.says("raise sessions_per_address_max").await;
    served.signal(Signal::TERM);
    while let Some(line) = served.log.next_line().await.unwrap() {
        assert!(!line.contains("sessions_per_address_max"), "{line}");
    }
}
