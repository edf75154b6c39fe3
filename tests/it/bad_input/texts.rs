//! Texts that mean something to a terminal, a browser or a line-based protocol: each arrives as text, on every transport.

use serde_json::{Value, json};

use crate::support::{
    attacked_server::AttackedServer,
    follow_client::{FollowOptions, Transport, follow},
    tokens::{bearer, producer},
};

/// Descriptions that would end a line, a script, an event or a string if they were written as they are.
const HOSTILE: [&str; 20] = [
    "a\r\nb",
    "a\n\nevent: closing\ndata: {\"code\":\"revoked\"}\n\n",
    "a\rdata: x",
    "id: forged\nid: 0",
    "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m",
    "\u{202e}txt.exe\u{2066}\u{200f}",
    "\u{0}\u{8}\u{7f}\u{85}",
    "\u{2028}\u{2029}",
    "</script><script>alert(1)</script>",
    "</SCRIPT\t><img src=x onerror=alert(1)>",
    "<!--<script>",
    "-->]]>",
    "\"});alert(1);//",
    "\\\"</script>",
    "\\u003c/script>",
    "&lt;script&gt;&#0;",
    "{\"type\":\"snapshot\"}",
    "42/feed,[\"snapshot\",{}]\u{1e}2",
    "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "\u{feff}\u{fffe}\u{10ffff}",
];

/// A server on which each of them was recorded for alice, as a description, a category and an attribute.
async fn server() -> AttackedServer {
    let server = AttackedServer::open().await;
    for (number, text) in HOSTILE.iter().enumerate() {
        let event = json!({
            "id": format!("hostile-{number}"), "account": "alice", "amount": "1", "unit": "CNY",
            "description": text, "category": text, "attributes": { "a": text },
        });
        let recorded = server
            .call("POST", "/v1/events", &producer(), event.to_string())
            .await;
        assert_eq!(recorded.status(), Some(201), "{text:?}");
    }
    server
}

#[tokio::test]
async fn hostile_texts_arrive_as_they_were_sent_on_every_transport() {
    let server = server().await;
    for transport in Transport::ALL {
        let options = FollowOptions {
            address: server.host().address,
            account: "alice".to_owned(),
            token: bearer(json!({})),
            after: None,
            mode: None,
        };
        let mut client = follow(transport, &options)
            .await
            .unwrap_or_else(|code| panic!("{code}"));
        let snapshot: Value = serde_json::from_str(&client.next().await.unwrap()).unwrap();
        assert_eq!(snapshot["type"], "snapshot", "{transport:?}");
        let recent = snapshot["recent"].as_array().unwrap();
        assert_eq!(recent.len(), HOSTILE.len(), "{transport:?}");
        for (entry, text) in recent.iter().zip(HOSTILE) {
            for shown in [
                &entry["description"],
                &entry["category"],
                &entry["attributes"]["a"],
            ] {
                assert_eq!(shown, text, "{transport:?}");
            }
        }
    }
    server.assert_unharmed().await;
}

/// The body of a stream up to `live`, over HTTP/1.0: without chunks.
async fn stream(server: &AttackedServer, route: &str) -> String {
    let mut attacker = server.connect().await;
    let token = bearer(json!({}));
    attacker
        .send(format!(
            "GET /v1/feeds/alice/{route} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        ))
        .await;
    let text = attacker.until(r#""type":"live""#).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.0 200 "),
        "{head}"
    );
    body.to_owned()
}

#[tokio::test]
async fn hostile_texts_end_no_line_no_event_and_no_script() {
    let server = server().await;
    for route in ["sse", "stream", "iframe?callback=f"] {
        let body = stream(&server, route).await;
        let control = body.chars().find(|sign| *sign < ' ' && *sign != '\n');
        assert_eq!(control, None, "{route}: {body}");
    }

    let sse = stream(&server, "sse").await;
    for line in sse.lines() {
        let field = line.split(':').next().unwrap();
        assert!(
            ["retry", "id", "event", "data", ""].contains(&field),
            "{line}"
        );
    }
    let names: Vec<_> = sse
        .lines()
        .filter(|line| line.starts_with("event"))
        .collect();
    assert_eq!(names, ["event: snapshot", "event: live"]);

    let lines = stream(&server, "stream").await;
    assert_eq!(
        lines.lines().filter(|line| line.starts_with('{')).count(),
        2
    );

    let page = stream(&server, "iframe?callback=f")
        .await
        .to_ascii_lowercase();
    let scripts = page.matches("<script>parent.f(").count();
    assert_eq!(scripts, 2);
    // The end of the last one may not have come yet.
    let ends = page.matches("</script").count();
    assert!(ends == scripts || ends + 1 == scripts, "{page}");
    assert_eq!(page.matches("<script").count(), scripts, "{page}");
    assert!(!page.contains("<!--") && !page.contains("<img"), "{page}");
    assert!(!page.contains(['\u{2028}', '\u{2029}']), "{page}");
    server.assert_unharmed().await;
}

/// What a stranger writes into a request is not written back as anything but JSON.
#[tokio::test]
async fn a_hostile_request_is_answered_in_json_or_without_its_text() {
    let server = AttackedServer::open().await;
    let token = bearer(json!({}));
    for path in [
        "/v1/feeds/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/v1/feeds/alice%0d%0aX-Evil:%201",
        "/v1/feeds/alice?%3Cscript%3E=1",
        "/v1/feeds/alice?recent=%3Cscript%3E",
        "/v1/feeds/alice?%0d%0aX-Evil:1",
        "/v1/feeds/alice?%1b[2J=%E2%80%AE",
        "/v1/feeds/alice/iframe?callback=%3Cscript%3E",
        "/v1/feeds/alice/iframe?callback=f%0d%0aX-Evil:1",
        "/v1/feeds/alice/iframe?callback=%1b[2J",
        "/v1/feeds/alice/entries?before=%3Cscript%3E",
        "/v1/accounts/alice/totals?from=%3Cscript%3E",
        "/v1/accounts/%E2%80%AE%3Cscript%3E",
        "/socket.io/?EIO=%3Cscript%3E&transport=%3Cscript%3E",
        "/socket.io/?EIO=4&transport=polling&sid=%3Cscript%3E%0d%0aX-Evil:1",
        "/%3Cscript%3E",
        "/../../etc/passwd",
    ] {
        let answer = server.call("GET", path, &token, "").await;
        let status = answer.status().unwrap();
        assert!((400..500).contains(&status), "{path}: {answer:?}");
        assert_eq!(answer.header("x-evil"), None, "{path}");
        let (head, body) = answer.0.split_once("\r\n\r\n").unwrap();
        let control = body.chars().find(|sign| sign.is_control());
        assert_eq!(control, None, "{path}: {body}");
        if body.contains("<script") || body.contains("Evil") {
            let media_type = answer.header("content-type").unwrap_or_default();
            assert!(media_type.contains("json"), "{path}: {head}");
        }
    }
    server.assert_unharmed().await;
}
