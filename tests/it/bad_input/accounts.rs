//! Alice's token on bob's account, wherever an account can be named: bob looks like nobody, byte for byte.

use serde_json::{Value, json};

use super::GETS;
use crate::support::{
    attacked_server::AttackedServer, feed_hub::account, raw_http::HANDSHAKE, tokens::bearer,
};

/// An account that exists, and one that does not.
const OTHERS: [&str; 2] = ["bob", "nobody"];

/// Alice's token with every scope.
fn alice() -> String {
    bearer(json!({ "scope": "watch record push admin" }))
}

/// The answers of one question about each of the others must be the same bytes.
fn assert_same<T: PartialEq + std::fmt::Debug>(what: &str, answers: &[T]) {
    for answer in answers {
        assert_eq!(answer, &answers[0], "{what}");
    }
}

#[tokio::test]
async fn bob_looks_like_nobody_on_every_route() {
    let server = AttackedServer::open().await;
    let position = server.host().hub.feed().snapshot(&account("bob"), 0).await;
    let position = position.unwrap().position().to_string();
    let mut requests: Vec<(&str, String, &str, String)> = Vec::new();
    for query in [
        "",
        "?limit=1",
        "?by=day",
        "?callback=f",
        "?after=@",
        "?callback=f&after=@",
    ] {
        for (method, path) in GETS {
            // Each query on the routes that take it.
            let takes = match path.rsplit('/').next().unwrap() {
                "entries" => matches!(query, "" | "?limit=1"),
                "totals" => matches!(query, "" | "?by=day"),
                "iframe" => query.starts_with("?callback"),
                _ if path.starts_with("/v1/accounts") => query.is_empty(),
                _ => matches!(query, "" | "?after=@"),
            };
            let headers = ["", HANDSHAKE][usize::from(path.ends_with("/ws"))];
            let path = format!("{path}{}", query.replace('@', &position));
            if takes {
                requests.push((method, path, headers, String::new()));
            }
        }
    }
    for (method, path, body) in [
        ("PUT", "/v1/accounts/{account}", json!({ "name": "x" })),
        (
            "PUT",
            "/v1/accounts/{account}",
            json!({ "time_zone": "Mars" }),
        ),
        ("DELETE", "/v1/accounts/{account}", Value::Null),
        ("POST", "/v1/tickets", json!({ "account": "{account}" })),
        ("POST", "/v1/disconnect", json!({ "account": "{account}" })),
        (
            "POST",
            "/v1/push",
            json!({ "to": { "account": "{account}" }, "event": "e" }),
        ),
        (
            "POST",
            "/v1/events",
            json!({ "id": "1", "account": "{account}", "amount": "1", "unit": "CNY" }),
        ),
        // The id of bob's own event: neither a duplicate nor a conflict shows that it is there.
        (
            "POST",
            "/v1/events",
            json!({ "id": "bob-1", "account": "{account}", "amount": "1.50", "unit": "CNY" }),
        ),
        (
            "POST",
            "/v1/events",
            json!({ "id": "2", "account": "{account}", "kind": "reversal", "reverses": "bob-1" }),
        ),
    ] {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        requests.push((method, path.to_owned(), "", body));
    }
    let token = alice();
    for (method, path, headers, body) in requests {
        let mut answers = Vec::new();
        for other in OTHERS {
            let path = path.replace("{account}", other);
            let body = body.replace("{account}", other);
            let json = format!("{headers}Content-Type: application/json\r\n");
            let answer = server.call_with(method, &path, &token, &json, body).await;
            let expected = (Some(404), json!("not_found"));
            assert_eq!(answer.refusal(), expected, "{method} {path}");
            answers.push(answer.undated());
        }
        assert_same(&format!("{method} {path} {body}"), &answers);
    }
    server.assert_unharmed().await;
}

/// A batch of events, a position and a reversal: what names bob within a request that alice may make.
#[tokio::test]
async fn bob_looks_like_nobody_within_alices_own_requests() {
    let server = AttackedServer::open().await;
    let token = alice();
    let mut results = Vec::new();
    for other in OTHERS {
        let event = json!([{ "id": "bob-1", "account": other, "amount": "1.50", "unit": "CNY" }]);
        let mut attacker = server.connect().await;
        let body = event.to_string();
        attacker
            .send(format!(
                "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ))
            .await;
        let answer = attacker.rest().await;
        let (_, results_of) = answer.split_once("\r\n\r\n").unwrap();
        results.push(results_of.to_owned());
    }
    assert!(results[0].contains("not_found"), "{results:?}");
    assert_same("an item of a batch", &results);

    // Bob's position on alice's feed is no position, like one that was made up.
    let bobs = server.host().hub.feed().snapshot(&account("bob"), 0).await;
    let bobs = bobs.unwrap().position().to_string();
    let mut first = Vec::new();
    for after in [&bobs, "made-up"] {
        let mut attacker = server.connect().await;
        attacker
            .send(format!(
                "GET /v1/feeds/alice?after={after} HTTP/1.1\r\nHost: x\r\n\
                 Authorization: Bearer {token}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let answer = attacker.rest().await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.contains(r#""reason":"bad_position""#), "{body}");
        first.push(body.to_owned());
    }
    assert_same("a position", &first);
    server.assert_unharmed().await;
}

#[tokio::test]
async fn bob_looks_like_nobody_on_every_socket() {
    let server = AttackedServer::open().await;
    let host = server.host();
    let token = alice();
    let (mut connects, mut polled) = (Vec::new(), Vec::new());
    let mut asked: Vec<Vec<Value>> = Vec::new();
    for other in OTHERS {
        let connect = format!("40/feed,{}", json!({ "token": token, "account": other }));
        connects.push(host.ws().await.join(&connect).await);
        let polling = host.poll().await;
        polling.send(&connect).await;
        polled.push(polling.receive().await);

        let mut open = host
            .watch(&json!({ "token": token, "subscribe": false }))
            .await;
        let mut answers = Vec::new();
        for (name, argument) in [
            ("subscribe", json!({ "account": other })),
            (
                "subscribe",
                json!({ "account": other, "after": "x", "mode": "totals" }),
            ),
            ("history", json!({ "account": other })),
            ("history", json!({ "account": other, "before": 2 })),
            ("unsubscribe", json!({ "account": other })),
        ] {
            answers.push(open.ask(name, &argument).await.1);
        }
        for answer in &answers[..4] {
            assert_eq!(answer["code"], "not_found", "{answer}");
        }
        asked.push(answers);
    }
    assert!(connects[0].contains("not_found"), "{connects:?}");
    assert_same("a CONNECT", &connects);
    assert_same("a CONNECT by polling", &polled);
    assert_same("requests", &asked);
    server.assert_unharmed().await;
}

/// Alice's ticket opens alice's feed and no other, whatever the path says.
#[tokio::test]
async fn alices_ticket_finds_no_other_feed() {
    let server = AttackedServer::open().await;
    let ticket = server.ticket(&bearer(json!({}))).await;
    for route in ["ws", "sse", "stream", "iframe"] {
        let headers = ["", HANDSHAKE][usize::from(route == "ws")];
        let callback = ["", "&callback=f"][usize::from(route == "iframe")];
        let ask = async |account: &str| {
            let path = format!("/v1/feeds/{account}/{route}?ticket={ticket}{callback}");
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
            server.ask(request).await
        };
        assert!(
            matches!(ask("alice").await.status(), Some(101 | 200)),
            "{route}"
        );
        let mut answers = Vec::new();
        for other in OTHERS {
            let answer = ask(other).await;
            assert_eq!(answer.refusal(), (Some(404), json!("not_found")), "{route}");
            answers.push(answer.undated());
        }
        assert_same(route, &answers);
    }
    let connects =
        OTHERS.map(|other| format!("40/feed,{}", json!({ "token": ticket, "account": other })));
    let mut answers = Vec::new();
    for connect in connects {
        answers.push(server.host().ws().await.join(&connect).await);
    }
    assert!(answers[0].contains("not_found"), "{answers:?}");
    assert_same("a CONNECT", &answers);
    server.assert_unharmed().await;
}
