use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Version, header, uri::Authority};

/// The body of the refusal, in the form of the other refusals of a hub.
const REFUSAL: &str = concat!(
    r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_host","#,
    r#""detail":"send one Host header, with a host and perhaps a port"}"#
);

/// Whether a request names its host as RFC 9112 section 3.2 demands: once (in HTTP/1.0 at most once), with a host and
/// perhaps a port, or with nothing. Two parsers may take two hosts, or something else, for different sites.
pub(super) fn is_clear(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => version == Version::HTTP_10,
        (Some(host), None) => host.is_empty() || is_authority(host),
        (Some(_), Some(_)) => false,
    }
}

fn is_authority(host: &HeaderValue) -> bool {
    let authority = Authority::try_from(host.as_bytes());
    authority.is_ok_and(|authority| {
        let port = authority.as_str().strip_prefix(authority.host());
        let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        port.is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
    })
}

/// The refusal of a request whose host is not clear.
pub(super) fn refuse() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONNECTION, "close"),
    ];
    (StatusCode::BAD_REQUEST, headers, REFUSAL).into_response()
}
