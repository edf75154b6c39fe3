//! Which origins a list allows.

use http::{
    HeaderMap, HeaderValue,
    header::{HOST, ORIGIN},
};
use tallycast::Origins;

fn headers(origin: Option<&str>, host: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(ORIGIN, origin), (HOST, host)] {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    headers
}

#[test]
fn a_list_allows_what_it_names_and_the_servers_own() {
    let origins = Origins::allow(["https://App.example.com", "http://localhost:5173"]).unwrap();
    let host = Some("tally.example.com");
    for (origin, welcome) in [
        (None, true),
        (Some("https://app.example.com"), true),
        (Some("https://app.example.com:443"), true),
        (Some("http://localhost:5173"), true),
        (Some("https://tally.example.com"), true),
        (Some("http://tally.example.com"), true),
        (Some("https://TALLY.example.com:443"), true),
        (Some("https://tally.example.com:444"), false),
        (Some("http://app.example.com"), false),
        (Some("https://app.example.com:8443"), false),
        (Some("https://app.example.com.evil.org"), false),
        (Some("https://evilapp.example.com"), false),
        (Some("https://app-example.com"), false),
        (Some("https://app.example.com@evil.org"), false),
        (Some("https://evil.org/https://app.example.com"), false),
        (Some("https://app.example.com "), false),
        (Some("https://app.example.com, https://evil.org"), false),
        (Some("http://localhost"), false),
        (Some("null"), false),
        (Some("*"), false),
        (Some(""), false),
        (Some("tally.example.com"), false),
        (Some("://tally.example.com"), false),
    ] {
        let checked = origins.check(&headers(origin, host));
        assert_eq!(checked.is_ok(), welcome, "{origin:?}");
        if let Err(denied) = checked {
            assert_eq!(denied.code(), "origin_not_allowed");
        }
    }
}

#[test]
fn an_origin_passes_as_own_only_with_a_host_to_compare() {
    let origins = Origins::allow(["https://app.example.com"]).unwrap();
    assert!(origins.check(&headers(Some("https://x"), None)).is_err());
    assert!(
        origins
            .check(&headers(Some("https://x"), Some("")))
            .is_err()
    );
    let own = headers(Some("http://127.0.0.1:3000"), Some("127.0.0.1:3000"));
    assert!(origins.check(&own).is_ok());
    let with_default_port = headers(Some("https://x"), Some("x:443"));
    assert!(origins.check(&with_default_port).is_ok());
}

/// Native clients such as Starscream send the scheme of the WebSocket, and the port in `Host`.
#[test]
fn the_default_port_of_any_scheme_is_none() {
    let origins = Origins::allow(["https://app.example.com", "wss://native.example:443"]).unwrap();
    for (scheme, port) in [("http", 80), ("ws", 80), ("https", 443), ("wss", 443)] {
        let (with, without) = (format!("h:{port}"), "h".to_owned());
        let other = format!("h:{}", 80 + 443 - port);
        for origin in [&with, &without] {
            let origin = format!("{scheme}://{origin}");
            for (host, is_own) in [(&with, true), (&without, true), (&other, false)] {
                let checked = origins.check(&headers(Some(&origin), Some(host)));
                assert_eq!(checked.is_ok(), is_own, "{origin} at {host}");
            }
        }
    }
    for (origin, welcome) in [
        ("wss://native.example", true),
        ("wss://native.example:443", true),
        ("ws://native.example", false),
        ("wss://native.example:80", false),
    ] {
        let checked = origins.check(&headers(Some(origin), Some("h")));
        assert_eq!(checked.is_ok(), welcome, "{origin}");
    }
}

#[test]
fn two_origins_are_none() {
    let origins = Origins::allow(["https://app.example.com"]).unwrap();
    let mut two = headers(Some("https://app.example.com"), Some("tally.example.com"));
    two.append(ORIGIN, HeaderValue::from_static("https://app.example.com"));
    assert!(origins.check(&two).is_err());
}

#[test]
fn without_a_list_nothing_is_refused() {
    let foreign = headers(Some("https://evil.org"), Some("tally.example.com"));
    assert!(Origins::same_origin().check(&foreign).is_ok());
    assert!(Origins::allow(["*"]).unwrap().check(&foreign).is_ok());
    let empty: [&str; 0] = [];
    assert!(Origins::allow(empty).unwrap().check(&foreign).is_ok());
}

#[test]
fn a_list_of_what_is_no_origin_is_refused() {
    for wrong in [
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://*.example.com",
        "https://",
        "https://user@example.com",
        "null",
        "",
    ] {
        let refused = Origins::allow([wrong]).unwrap_err();
        assert_eq!(refused.code(), "bad_origin", "{wrong:?}");
    }
}
