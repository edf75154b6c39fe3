use http::{HeaderMap, header::AUTHORIZATION};

use super::Denied;

/// The token in `Authorization: Bearer`; `None` without that header, or with another scheme.
///
/// # Errors
/// When the header is repeated: a proxy may have read another one than we would.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Denied::new("several Authorization headers"));
    }
    let credentials = value.and_then(|value| value.to_str().ok()?.split_once(' '));
    Ok(credentials
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim()))
}
