//! Requests that a proxy may take apart differently, or that have no bounds, on every route of the hub.

use serde_json::json;

use super::{GETS, WRITES};
use crate::support::{attacked_server::AttackedServer, raw_http::statuses, tokens::admin};

/// The routes of Engine.IO.
const ENGINE: [(&str, &str); 2] = [
    ("GET", "/socket.io/?EIO=4&transport=polling"),
    ("POST", "/socket.io/?EIO=4&transport=polling&sid=x"),
];

/// Every route but the one that erases, as a request line without its version.
fn targets() -> Vec<String> {
    let routes = GETS.iter().chain(&WRITES).chain(&ENGINE);
    let kept = routes.filter(|(method, _)| *method != "DELETE");
    let targets =
        kept.map(|(method, path)| format!("{method} {}", path.replace("{account}", "alice")));
    targets.collect()
}

/// A request that records for alice, hidden behind another.
fn hidden() -> String {
    let event = json!({ "id": "hidden", "account": "alice", "amount": "1", "unit": "CNY" });
    let event = event.to_string();
    format!(
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n{event}",
        admin(),
        event.len()
    )
}

#[tokio::test]
async fn two_framings_are_refused_on_every_route_and_nothing_hides_behind_them() {
    let server = AttackedServer::open().await;
    let before = server.alices_offset().await;
    let token = format!("Authorization: Bearer {}\r\n", admin());
    for target in targets() {
        for framing in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 0\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length : 5\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Transfer-Encoding: \u{b}chunked\r\n",
            "Transfer-Encoding : chunked\r\n",
            "Transfer-Encoding:\r\n chunked\r\n",
            "X: a\n Content-Length: 5\r\n",
            "X: a\nContent-Length: 5\r\n",
            "X: a\rContent-Length: 5\r\n",
            "X: a\0b\r\n",
        ] {
            let request = format!(
                "{target} HTTP/1.1\r\nHost: x\r\n{token}{framing}\r\n0\r\n\r\n{}",
                hidden()
            );
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            let answers = attacker.rest().await;
            assert_eq!(
                statuses(&answers),
                [400],
                "{target}, {framing:?}: {answers}"
            );
        }
        let bare = format!("{target} HTTP/1.1\nHost: x\n{}\n", token.replace('\r', ""));
        let old =
            format!("{target} HTTP/1.0\r\nHost: x\r\n{token}Transfer-Encoding: chunked\r\n\r\n");
        for request in [bare, old] {
            let mut attacker = server.connect().await;
            attacker.send(request + "0\r\n\r\n" + &hidden()).await;
            assert_eq!(statuses(&attacker.rest().await), [400], "{target}");
        }
    }
    assert_eq!(server.alices_offset().await, before, "nothing was hidden");
    server.assert_unharmed().await;
}

#[tokio::test]
async fn bad_chunks_are_refused_wherever_a_body_is_read() {
    let server = AttackedServer::open().await;
    let before = server.alices_offset().await;
    for (method, path) in WRITES.iter().filter(|(method, _)| *method != "DELETE") {
        let path = path.replace("{account}", "alice");
        for chunks in [
            "x\r\n{}\r\n0\r\n\r\n",
            "2\n{}\r\n0\r\n\r\n",
            "2\r\n{}X\r\n0\r\n\r\n",
            "2\r\n{}0\r\n\r\n",
            "-1\r\n\r\n",
            "0x2\r\n{}\r\n0\r\n\r\n",
            "FFFFFFFFFFFFFFFFF\r\n",
            "2;a\nb\r\n{}\r\n0\r\n\r\n",
        ] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Transfer-Encoding: chunked\r\n\r\n{chunks}{}",
                admin(),
                hidden()
            );
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            let answers = attacker.rest().await;
            // A close without an answer is fine too.
            let is_refused = matches!(statuses(&answers)[..], [] | [400]);
            assert!(is_refused, "{path}, {chunks:?}: {answers}");
        }
    }
    assert_eq!(server.alices_offset().await, before, "nothing was hidden");
    server.assert_unharmed().await;
}

#[tokio::test]
async fn a_head_without_bounds_is_refused_on_every_route() {
    let server = AttackedServer::open().await;
    let token = format!("Authorization: Bearer {}\r\n", admin());
    let long = format!("X: {}\r\n", "x".repeat(64 << 10));
    let many = "X: y\r\n".repeat(1_000);
    for target in targets() {
        for (name, headers, expected) in [("64 KiB", &long, 431), ("1,000 headers", &many, 431)] {
            let request = format!("{target} HTTP/1.1\r\nHost: x\r\n{token}{headers}\r\n");
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            assert_eq!(
                statuses(&attacker.rest().await),
                [expected],
                "{target}, {name}"
            );
        }
        let sign = if target.contains('?') { '&' } else { '?' };
        for bytes in [17 << 10, 64 << 10, 1 << 20] {
            let padding = "x".repeat(bytes);
            let request = format!("{target}{sign}x={padding} HTTP/1.1\r\nHost: x\r\n{token}\r\n");
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            // What is over the bound of a whole head is that. A close during a megabyte is fine too.
            let answers = attacker.rest().await;
            let is_refused = match bytes {
                17_408 => statuses(&answers) == [414],
                65_536 => matches!(statuses(&answers)[..], [414 | 431]),
                _ => matches!(statuses(&answers)[..], [] | [414 | 431]),
            };
            assert!(is_refused, "{target}, {bytes} bytes: {answers}");
        }
    }
    server.assert_unharmed().await;
}
