use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::support::feed_hub::host;

/// Each opens no session, and gets the code of Engine.IO.
#[tokio::test]
async fn what_names_no_session_or_transport_opens_none() {
    let host = host().await;
    let long = format!("EIO=4&transport=polling&sid={}", "A".repeat(4_000));
    let cases = [
        ("EIO=4&transport=polling&sid=", 1),
        ("EIO=4&transport=polling&sid=%00", 1),
        ("EIO=4&transport=polling&sid=..%2F..%2Fetc", 1),
        ("EIO=4&transport=polling&sid=null", 1),
        ("EIO=4&transport=polling&sid=__proto__", 1),
        ("EIO=4&transport=polling&sid=constructor", 1),
        ("EIO=4&transport=polling&sid=%F0%9F%8D%9C", 1),
        ("EIO=4&transport=polling&sid=%ff", 1),
        ("EIO=4&transport=polling&sid=a&sid=b", 3),
        ("EIO=4&transport=websocket&sid=__proto__", 1),
        (&long, 1),
        ("EIO=4&transport=", 0),
        ("EIO=4&transport=POLLING", 0),
        ("EIO=4&transport=flashsocket", 0),
        ("EIO=4&transport=__proto__", 0),
        ("EIO=4&transport=constructor", 0),
        ("EIO=4&transport=toString", 0),
        ("EIO=4&transport=polling&transport=websocket", 3),
        ("EIO=&transport=polling", 5),
        ("EIO=5&transport=polling", 5),
        ("EIO=4.0&transport=polling", 5),
        ("EIO=04&transport=polling", 5),
        ("EIO=99999999999999999999&transport=polling", 5),
        ("EIO=__proto__&transport=polling", 5),
    ];
    for (query, code) in cases {
        let shown = &query[..query.len().min(60)];
        for method in [Method::GET, Method::POST] {
            let response = host.request(method, query).body("40").send().await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{shown}");
            let body: Value = response.json().await.unwrap();
            assert_eq!(body["code"], code, "{shown}: {body}");
        }
        assert!(host.try_ws(query).await.is_err(), "{shown}");
    }
    assert_eq!(host.hub.sessions(), 0);
    host.ws().await;
}
