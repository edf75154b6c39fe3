//! Hostile clients against the binary at log level trace: it still serves, and no token gets into log or metrics.

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::support::{SOON, binary::Workdir, raw_http::status, watched_binary::WatchedBinary};

/// Short parts of a token occur by chance.
const PART_BYTES_MIN: usize = 16;

/// Sends bytes, and reads until the server closes or has answered.
async fn answer(served: &WatchedBinary, bytes: &[u8]) -> String {
    let mut tcp = TcpStream::connect(&served.address).await.unwrap();
    // A refused client may find the connection closed before it has sent everything.
    let _cut = tcp.write_all(bytes).await;
    let mut answer = vec![0; 12];
    match timeout(SOON, tcp.read_exact(&mut answer)).await {
        Ok(Ok(_)) => String::from_utf8_lossy(&answer).into_owned(),
        Ok(Err(_)) => String::new(),
        Err(_) => panic!("no answer"),
    }
}

/// Requests by a known caller, and their statuses; 0 is a close without an answer.
fn requests(token: &str) -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let head = |more: &str| {
        format!(
            "POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{more}\r\n"
        )
    };
    let get = |target: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    let chunked = |chunks: &str| head("Transfer-Encoding: chunked\r\n") + chunks;
    let lengths = "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n";
    let long_header = format!("X: {}\r\n", "x".repeat(64 << 10));
    let many_headers = "X: y\r\n".repeat(1_000);
    let long_target = format!("/v1/feeds/alice?after={}", "x".repeat(64 << 10));
    let pieces = chunked(&format!("1000\r\n{}\r\n", " ".repeat(4 << 10)).repeat((4 << 8) + 1));
    // A profile may have 64 KiB.
    let byte_by_byte = chunked(&"1\r\n \r\n".repeat((64 << 10) + 1));
    let byte_by_byte = byte_by_byte.replace("POST /v1/events", "PUT /v1/accounts/alice");
    let texts = [
        ("both framings", head(lengths) + "0\r\n\r\n", &[400][..]),
        (
            "two lengths",
            head("Content-Length: 2\r\nContent-Length: 3\r\n") + "{}",
            &[400],
        ),
        ("a bad chunk", chunked("x\r\n{}\r\n0\r\n\r\n"), &[0, 400]),
        (
            "an endless chunk",
            chunked("FFFFFFFFFFFFFFFFF\r\n"),
            &[0, 400],
        ),
        ("bare line feeds", head("").replace("\r\n", "\n"), &[400]),
        ("a header of 64 KiB", head(&long_header), &[431]),
        ("a thousand headers", head(&many_headers), &[431]),
        ("a target of 64 KiB", get(&long_target), &[414, 431]),
        (
            "2^63 bytes declared",
            head("Content-Length: 9223372036854775808\r\n"),
            &[413],
        ),
        (
            "2^64 bytes declared",
            head("Content-Length: 18446744073709551616\r\n"),
            &[400],
        ),
        ("too long, in pieces", pieces, &[413]),
        ("too long, byte by byte", byte_by_byte, &[413]),
        (
            "a position of 8 KiB",
            get(&format!("/v1/feeds/alice?after={}", "A".repeat(8 << 10))),
            &[200],
        ),
        ("no wait", get("/v1/feeds/alice?after=x&wait=NaN"), &[400]),
        (
            "the token in the target",
            get(&format!("/v1/feeds/{token}")),
            &[400],
        ),
        (
            "the token as a ticket",
            get(&format!("/v1/feeds/alice/sse?ticket={token}")).replace("Authorization", "X"),
            &[401],
        ),
        (
            "the token as a callback",
            get(&format!("/v1/feeds/alice/iframe?callback={token}")),
            &[400],
        ),
        (
            "the token as a position",
            get(&format!("/v1/feeds/alice/stream?after={token}")),
            &[200],
        ),
        (
            "the token in the query",
            get(&format!("/v1/feeds/alice?token={token}")),
            &[400],
        ),
    ];
    texts
        .map(|(name, text, statuses)| (name, text.into_bytes(), statuses))
        .into()
}

/// A Socket.IO WebSocket that sends `packets` and reads the answers.
async fn websocket(served: &WatchedBinary, query: &str, packets: &[String]) {
    let address = &served.address;
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket{query}");
    let Ok((mut socket, _)) = connect_async(url).await else {
        return;
    };
    for packet in packets {
        // The previous packet may have closed the connection.
        let _cut = socket.send(Message::text(packet.clone())).await;
    }
    // Each CONNECT is answered at once, the last packet at the latest by the close.
    for _ in packets {
        let _packet = timeout(SOON, socket.next()).await.expect("an answer");
    }
}

/// A plain WebSocket, opened with a ticket or a token, valid or not.
async fn feed_websocket(served: &WatchedBinary, token: &str) {
    let url = format!("ws://{}/v1/feeds/alice/ws", served.address);
    let by_ticket = format!("{url}?ticket={token}").into_client_request();
    let mut by_token = url.into_client_request().unwrap();
    let bearer = format!("Bearer {token}").try_into().unwrap();
    by_token.headers_mut().insert("authorization", bearer);
    for request in [by_ticket.unwrap(), by_token] {
        let Ok((mut socket, _)) = connect_async(request).await else {
            continue;
        };
        for text in [
            json!({ "type": "authenticate", "token": token }).to_string(),
            json!({ "type": token, "token": token }).to_string(),
            format!("{{\"token\":\"{token}\""),
        ] {
            socket.send(Message::text(text)).await.unwrap();
        }
        socket.close(None).await.unwrap();
        while timeout(SOON, socket.next())
            .await
            .expect("its end")
            .is_some()
        {}
    }
}

/// A polling session that sends `packet`.
async fn polling(served: &WatchedBinary, packet: String) {
    let url = format!(
        "http://{}/socket.io/?EIO=4&transport=polling",
        served.address
    );
    let client = reqwest::Client::new();
    let open = client.get(&url).send().await.unwrap().text().await.unwrap();
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let url = format!("{url}&sid={}", open["sid"].as_str().unwrap());
    client.post(&url).body(packet).send().await.unwrap();
    client.get(&url).send().await.unwrap();
}

/// Records a valid event full of terminal control characters.
async fn record_controls(served: &WatchedBinary, token: &str) {
    let controls = "Noodle\u{1b}[2J\u{202e}\u{9b}\rbar";
    let event = json!({
        "id": "1", "account": "alice", "amount": "1", "unit": "CNY", "description": controls,
    });
    let url = format!("http://{}/v1/events", served.address);
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(token)
        .json(&event);
    assert_eq!(request.send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn hostile_clients_are_refused_and_no_token_is_logged_or_counted() {
    let workdir = Workdir::new();
    let served = workdir
        .serve(&["--ledger", "memory", "--log-level", "trace"])
        .await;
    let served = WatchedBinary::new(served);
    let token = workdir.token(&["--scope", "watch record admin"]).await;
    let other = Workdir::new();
    other.write("secret.txt", "another secret of 32 bytes, and more");
    let forged = other.token(&[]).await;

    for token in [&token, &forged] {
        for (name, request, statuses) in requests(token) {
            let status = status(&answer(&served, &request).await).unwrap_or(0);
            let is_refused = token == &forged && [401, 404].contains(&status);
            assert!(is_refused || statuses.contains(&status), "{name}: {status}");
        }
        let auth = json!({ "token": token });
        let connect = format!("40/feed,{auth}");
        let authenticate = format!("42/feed,1[\"authenticate\",{auth}]");
        let garbage = format!("42/feed,[\"{token}\"");
        websocket(
            &served,
            "",
            &[connect.clone(), authenticate, garbage.clone()],
        )
        .await;
        websocket(
            &served,
            &format!("&ticket={token}"),
            &["40/feed,".to_owned(), garbage],
        )
        .await;
        websocket(&served, &format!("&sid={token}"), &[]).await;
        feed_websocket(&served, token).await;
        polling(&served, connect).await;
        polling(&served, format!("4{token}")).await;
    }
    record_controls(&served, &token).await;

    let metrics = format!("{}/metrics", served.admin);
    let metrics = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let log = served.log().await;
    assert!(
        log.contains("refused a caller"),
        "the log is not at level trace"
    );
    assert!(!log.contains("panicked at"), "{log}");
    for part in [&token, &forged]
        .into_iter()
        .flat_map(|token| token.split('.'))
    {
        assert!(part.len() > PART_BYTES_MIN);
        let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
        for (name, text) in [("log", &log), ("metrics", &metrics)] {
            for seen in [part, &hex] {
                let line = text.lines().find(|line| line.contains(seen));
                assert!(line.is_none(), "a token in the {name}: {line:?}");
            }
        }
    }
    let controls = log.chars().find(|sign| sign.is_control() && *sign != '\n');
    assert_eq!(controls, None, "in the log");
    assert!(!log.contains("Noodle"), "a description in the log");
}
