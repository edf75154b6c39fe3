//! Names of time zones, times that no clock shows, and queries that are none.

use serde_json::json;
use tallycast::domain::Zone;

use super::{GETS, WRITES};
use crate::support::{
    attacked_server::AttackedServer,
    raw_http::HANDSHAKE,
    tokens::{admin, bearer, producer},
};

/// Names that are no IANA zone, though some machines have a file of that name, or another parser takes them.
const NO_ZONES: [&str; 44] = [
    "",
    " ",
    "Mars/Olympus",
    "Etc/Unknown",
    "etc/unknown",
    "local",
    "localtime",
    "posixrules",
    "leapseconds",
    "tzdata.zi",
    "zone.tab",
    "right/UTC",
    "right/Asia/Shanghai",
    "posix/Asia/Shanghai",
    "Asia",
    "Asia/",
    "/Asia/Shanghai",
    "Asia/Shanghai/",
    "Asia//Shanghai",
    "./Asia/Shanghai",
    "Asia/../Asia/Shanghai",
    "Asia\\Shanghai",
    ":Asia/Shanghai",
    "asia/shanghai",
    "ASIA/SHANGHAI",
    "Asia/shanghai",
    "utc",
    "Utc",
    "Z",
    "../../etc/passwd",
    "/etc/localtime",
    "/dev/zero",
    "file:///etc/localtime",
    "UTC+8",
    "UTC+25",
    "GMT+25",
    "Etc/GMT+25",
    "+08:00",
    "CST6CDT,M3.2.0,M11.1.0",
    "<+08>-8",
    " Asia/Shanghai",
    "Asia/Shanghai\n",
    "Asia/Shanghai\0",
    "\u{410}sia/Shanghai",
];

#[tokio::test]
async fn a_time_zone_is_named_as_iana_names_it() {
    let server = AttackedServer::open().await;
    let put = async |name: &str| {
        let profile = json!({ "time_zone": name }).to_string();
        server
            .call("PUT", "/v1/accounts/alice", &admin(), profile)
            .await
    };
    let long = ["x".repeat(60_000), "Asia/".repeat(10_000)];
    for name in NO_ZONES.into_iter().chain(long.iter().map(String::as_str)) {
        let shown: String = name.chars().take(60).collect();
        let refused = put(name).await;
        let expected = (Some(400), json!("unknown_time_zone"));
        assert_eq!(refused.refusal(), expected, "{shown:?}");
        assert!(
            refused.0.len() < 1_000,
            "the name is not repeated: {shown:?}"
        );
    }
    for name in ["Asia/Shanghai", "America/Argentina/Buenos_Aires", "UTC"] {
        assert_eq!(put(name).await.status(), Some(200), "{name}");
    }
    server.assert_unharmed().await;
}

#[test]
fn every_zone_has_one_spelling() {
    let mut count = 0;
    for name in Zone::names() {
        let zone = Zone::parse(&name).unwrap();
        assert_eq!(zone.name(), name);
        for other in [name.to_lowercase(), name.to_uppercase()] {
            let is_read = Zone::parse(&other).is_ok();
            assert_eq!(is_read, other == name, "{other}");
        }
        count += 1;
    }
    assert!(count > 500, "only {count} zones");
}

/// Times that RFC 3339 cannot say, that no clock shows, or that are too far ahead.
const NO_TIMES: [&str; 14] = [
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999999-23:59",
    "10000-01-01T00:00:00Z",
    "99999999999999999999-01-01T00:00:00Z",
    "2026-11-22T09:30:60+08:00",
    "2026-11-22T24:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-22T09:30:00",
    "2026-11-22T09:30:00+99:00",
    "2026-11-22T09:30:00Z[Asia/Shanghai]",
    "yesterday",
    "NaN",
    "",
];

#[tokio::test]
async fn a_time_that_no_clock_shows_is_refused_in_every_form() {
    let server = AttackedServer::open().await;
    let before = server.alices_offset().await;
    for time in NO_TIMES {
        let plain =
            json!({ "id": "t", "account": "alice", "amount": "1", "unit": "CNY", "time": time });
        let cloud = json!({
            "specversion": "1.0", "id": "t", "source": "shop", "type": "purchase", "subject": "alice",
            "time": time, "data": { "amount": "1", "unit": "CNY" },
        });
        let binary = format!(
            "ce-specversion: 1.0\r\nce-id: t\r\nce-source: shop\r\nce-type: purchase\r\n\
             ce-subject: alice\r\nce-time: {time}\r\n"
        );
        let data = cloud["data"].to_string();
        for (media_type, headers, body) in [
            ("application/json", "", plain.to_string()),
            ("application/x-ndjson", "", plain.to_string()),
            ("application/json", "", format!("[{plain}]")),
            ("application/json", &binary, data),
            ("application/cloudevents+json", "", cloud.to_string()),
            (
                "application/cloudevents-batch+json",
                "",
                format!("[{cloud}]"),
            ),
        ] {
            let request = format!(
                "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{headers}\
                 Content-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                producer(),
                body.len()
            );
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            let answer = attacker.rest().await;
            assert!(
                answer.contains(r#""code":"invalid_time""#),
                "{time:?} {media_type}: {answer}"
            );
        }
    }
    for time in NO_TIMES {
        for body in [
            json!({ "subject": "alice", "issued_before": time }),
            json!({ "jti": "a", "expires_at": time }),
        ] {
            // The end of a revocation may be far ahead.
            let is_end = body.get("expires_at").is_some();
            if is_end && time.starts_with("9999") {
                continue;
            }
            let refused = server
                .call("POST", "/v1/revocations", &admin(), body.to_string())
                .await;
            let expected = (Some(400), json!("invalid_revocation"));
            assert_eq!(refused.refusal(), expected, "{body}");
        }
    }
    assert_eq!(server.alices_offset().await, before);
    server.assert_unharmed().await;
}

#[tokio::test]
async fn a_query_that_is_none_is_refused_on_every_route() {
    let server = AttackedServer::open().await;
    let own = bearer(json!({ "scope": "watch record push admin", "accounts": "*" }));
    for query in [
        "x=1",
        "limit=1&limit=1",
        "after=a&after=a",
        "%ff=1",
        "after[]=x",
        "__proto__=x",
        "limit=-1",
        "wait=NaN",
        "recent=-1",
        "recent=Infinity",
        "token=x",
    ] {
        let routes = GETS.iter().chain(WRITES.iter());
        for (method, path) in routes {
            let path = path.replace("{account}", "alice");
            let callback = ["", "callback=f&"][usize::from(path.ends_with("/iframe"))];
            let path = format!("{path}?{callback}{query}");
            // Handshakes are checked before queries.
            let headers = ["", HANDSHAKE][usize::from(path.contains("/ws?"))];
            let refused = server.call_with(method, &path, &own, headers, "").await;
            let expected = (Some(400), json!("invalid_query"));
            assert_eq!(refused.refusal(), expected, "{method} {path}");
        }
    }
    server.assert_unharmed().await;
}
