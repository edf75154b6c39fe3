use std::fmt::Display;

use http::{
    HeaderMap, HeaderValue,
    header::{HeaderName, IF_NONE_MATCH},
};

/// The entity tag of a version.
pub(super) fn etag(version: impl Display) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\""))
        .expect("positions and revisions are letters and digits")
}

/// Whether `If-None-Match` names `tag`. Tags that a proxy has weakened match too, since ours identify states and not
/// bytes.
pub(super) fn is_current(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    tags(headers, IF_NONE_MATCH).any(|one| one == "*" || one.as_bytes() == tag.as_bytes())
}

/// The tags of a conditional header, without the prefix `W/`.
pub(super) fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| {
            let one = one.trim();
            one.strip_prefix("W/").unwrap_or(one)
        })
}
