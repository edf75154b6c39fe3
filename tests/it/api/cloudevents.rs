//! Events in the CloudEvents format.

use serde_json::{Value, json};

use crate::support::api_server::{Answer, ApiServer, answer, event};

const STRUCTURED: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json; charset=UTF-8";

fn cloud_event(id: &str, event_type: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "shop", "type": event_type,
        "subject": "alice", "data": data,
    })
}

fn noodles() -> Value {
    json!({ "amount": "12.50", "unit": "CNY", "category": "food", "description": "Noodle bar",
            "attributes": { "store": "12" } })
}

async fn entries(server: &ApiServer, account: &str) -> Vec<Value> {
    let page = answer(server.get(&format!("/v1/feeds/{account}/entries"))).await;
    page.body["entries"].as_array().unwrap().clone()
}

/// Sends the event in binary mode with these headers changed; an empty value removes the header.
async fn binary(server: &ApiServer, changes: &[(&str, &str)]) -> Answer {
    let mut headers = vec![
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "shop"),
        ("ce-type", "com.example.consumption"),
        ("ce-subject", "alice"),
        ("content-type", "application/json"),
    ];
    headers.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let mut request = server.post().body(noodles().to_string());
    for (name, value) in headers {
        request = request.header(name, value.as_bytes());
    }
    answer(request).await
}

#[tokio::test]
async fn the_three_modes_and_the_plain_one_mean_the_same_event() {
    let server = ApiServer::start().await;
    let whole = cloud_event("1", "com.example.consumption", noodles());
    let structured = server.record_as(STRUCTURED, whole.to_string()).await;
    assert_eq!(structured.status, 201);

    let mut plain = noodles();
    plain["id"] = json!("1");
    plain["source"] = json!("shop");
    plain["account"] = json!("alice");
    assert_eq!(server.record(&plain).await.status, 200);
    assert_eq!(binary(&server, &[]).await.status, 200);
    let batch = server.record_as(BATCH, json!([whole]).to_string()).await;
    assert_eq!(batch.results(), ["duplicate"]);

    let entries = entries(&server, "alice").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["source"], "shop");
    assert_eq!(entries[0]["category"], "food");
    assert_eq!(entries[0]["attributes"]["store"], "12");
}

#[tokio::test]
async fn the_end_of_the_type_is_the_kind() {
    let server = ApiServer::start().await;
    let adjustment = json!({ "amount": "-1", "unit": "CNY", "description": "goodwill" });
    let batch = json!([
        cloud_event("1", "com.example.order", noodles()),
        cloud_event("2", "com.example.adjustment", adjustment),
        cloud_event("3", "com.example.reversal", json!({ "reverses": "1" })),
        cloud_event("4", "reversal", noodles()),
        cloud_event("5", "com.example.reversal", noodles()),
    ]);
    let answer = server.record_as(BATCH, batch.to_string()).await;
    assert_eq!(
        answer.results(),
        [
            "recorded",
            "recorded",
            "recorded",
            "recorded",
            "rejected missing_reverses"
        ]
    );
    let kinds: Vec<_> = entries(&server, "alice")
        .await
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap_or("consumption").to_owned())
        .collect();
    assert_eq!(
        kinds,
        ["consumption", "reversal", "adjustment", "consumption"]
    );
}

#[tokio::test]
async fn extension_attributes_are_left_alone() {
    let server = ApiServer::start().await;
    let mut whole = cloud_event("1", "x.consumption", noodles());
    whole["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    whole["datacontenttype"] = json!("application/json; charset=utf-8");
    whole["dataschema"] = json!("https://example.com/schema");
    let answer = server.record_as(STRUCTURED, whole.to_string()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        binary(&server, &[("ce-traceparent", "00-1")]).await.status,
        200
    );
}

#[tokio::test]
async fn header_values_are_decoded_once() {
    let server = ApiServer::start().await;
    for (sent, meant) in [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("\"quoted \\\"name\\\"\"", "quoted \"name\""),
        ("\"100%25\"", "100%"),
        ("100%2525", "100%25"),
        ("100% sure", "100% sure"),
        ("straße", "straße"),
    ] {
        let answer = binary(&server, &[("ce-subject", sent)]).await;
        assert_eq!(answer.status, 201, "{sent}: {}", answer.text);
        let account =
            percent_encoding::utf8_percent_encode(meant, percent_encoding::NON_ALPHANUMERIC);
        assert_eq!(server.offset(&account.to_string()).await, 1, "{sent}");
    }
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let server = ApiServer::start().await;
    for (changes, status, code) in [
        (vec![("ce-specversion", "0.3")], 422, "invalid_event"),
        (vec![("ce-specversion", "")], 422, "invalid_event"),
        (vec![("ce-id", "")], 422, "invalid_event"),
        (vec![("ce-type", "")], 422, "invalid_event"),
        (vec![("ce-source", "")], 422, "invalid_event"),
        (vec![("ce-subject", "")], 422, "invalid_event"),
        (vec![("ce-subject", "%ff%fe")], 422, "invalid_event"),
        (vec![("ce-subject", "a%2Fb")], 422, "invalid_account"),
        (vec![("ce-subject", "a%0Ab")], 422, "invalid_account"),
        (vec![("ce-id", "1"), ("ce-id", "2")], 422, "invalid_event"),
        (vec![("ce-source", "tallycast")], 422, "reserved_source"),
        (
            vec![("content-type", "text/plain")],
            415,
            "unsupported_media_type",
        ),
    ] {
        let refused = binary(&server, &changes).await;
        assert_eq!(refused.refusal(), (status, code), "{changes:?}");
    }
}

#[tokio::test]
async fn bad_structured_events_are_refused() {
    let server = ApiServer::start().await;
    let good = cloud_event("1", "x.consumption", noodles());
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed.to_string()
    };
    let without = |name: &str| {
        let mut changed = good.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed.to_string()
    };
    let doubled = good.to_string().replacen('{', r#"{"id":"2","#, 1);
    for (text, status, code) in [
        (with("specversion", json!("2.0")), 422, "invalid_event"),
        (
            with("datacontenttype", json!("text/xml")),
            422,
            "invalid_event",
        ),
        (with("data", json!(["1", "CNY"])), 422, "invalid_event"),
        (with("data", json!("{}")), 422, "invalid_event"),
        (
            with("data", json!({ "account": "bob" })),
            422,
            "invalid_event",
        ),
        (with("data", json!({})), 422, "missing_amount"),
        (with("id", json!(1)), 422, "invalid_event"),
        (with("id", json!("")), 422, "invalid_id"),
        (with("subject", json!(null)), 422, "invalid_event"),
        (with("time", json!("noon")), 422, "invalid_time"),
        (
            with("extra", json!("x".repeat(17_000))),
            413,
            "event_too_large",
        ),
        (without("specversion"), 422, "invalid_event"),
        (without("id"), 422, "invalid_event"),
        (without("source"), 422, "invalid_event"),
        (without("type"), 422, "invalid_event"),
        (without("data"), 422, "invalid_event"),
        (doubled, 422, "invalid_event"),
        (event("1", "alice").to_string(), 422, "invalid_event"),
        (format!("[{good}]"), 422, "invalid_event"),
        (String::new(), 400, "empty_body"),
        ("{".to_owned(), 400, "malformed_json"),
    ] {
        let refused = server.record_as(STRUCTURED, text.clone()).await;
        let shown = &text[..text.len().min(100)];
        assert_eq!(refused.refusal(), (status, code), "{shown}");
    }
    let not_a_batch = server.record_as(BATCH, good.to_string()).await;
    assert_eq!(not_a_batch.refusal(), (400, "malformed_json"));
}
