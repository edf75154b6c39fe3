use std::{collections::HashSet, sync::Arc};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{
        AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, IF_MATCH, IF_NONE_MATCH, ORIGIN,
        RETRY_AFTER,
    },
};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::Denied;
use crate::domain::Invalid;

/// Which web pages may call.
///
/// A browser sends the page's origin in the `Origin` header; other programs usually send none. By default nothing is
/// refused and no CORS header is sent, so a browser lets only pages of the server's own origin read responses. With
/// a list, a foreign origin is refused on every transport. An absent `Origin` and the server's own (the one that
/// `Host` names) are always allowed.
///
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Origins(Policy);

#[derive(Clone, Debug, Default)]
enum Policy {
    #[default]
    SameOrigin,
    Listed(Arc<HashSet<String>>),
    Any,
}

impl Origins {
    /// No CORS headers, which leaves browsers at their own same-origin rule. This is the default.
    pub fn same_origin() -> Self {
        Self::default()
    }

    /// Pages of these origins only, each as `https://app.example.com`, or with a port; `"*"` is every
    /// page. An empty list is [`Origins::same_origin`].
    ///
    /// # Errors
    ///
    /// [`Invalid`] for anything but an origin: a path, a trailing `/`, a host without a scheme, a pattern.
    pub fn allow<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, Invalid> {
        let mut listed = HashSet::new();
        for origin in origins {
            let origin = origin.as_ref();
            if origin == "*" {
                return Ok(Self(Policy::Any));
            }
            listed.insert(normal(origin).ok_or_else(|| {
                Invalid::new(
                    "bad_origin",
                    format!(
                        "{origin:?} is not an origin; write scheme://host or scheme://host:port, \
                         without a path or a trailing slash"
                    ),
                )
            })?);
        }
        if listed.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self(Policy::Listed(Arc::new(listed))))
    }

    /// Whether a request with these headers may proceed.
    ///
    /// # Errors
    ///
    /// [`Denied`] with the code `origin_not_allowed` for a foreign origin, `null`, or several origins,
    /// when there is a list.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let Policy::Listed(listed) = &self.0 else {
            return Ok(());
        };
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return Ok(());
        };
        if origins.next().is_some() {
            return Err(Denied::origin("several Origin headers"));
        }
        let Some(origin) = normal_header(origin) else {
            return Err(Denied::origin("an Origin that is not an origin"));
        };
        if listed.contains(&origin) || is_own(&origin, headers) {
            return Ok(());
        }
        Err(Denied::origin("an Origin that is not on the list"))
    }

    /// The listed origins, each after a space, for CSP's `frame-ancestors`: they may frame a page of this server.
    pub(crate) fn ancestors(&self) -> String {
        match &self.0 {
            Policy::SameOrigin => String::new(),
            Policy::Any => " *".to_owned(),
            Policy::Listed(listed) => {
                let mut listed: Vec<&str> = listed.iter().map(String::as_str).collect();
                listed.sort_unstable();
                listed.iter().map(|origin| format!(" {origin}")).collect()
            }
        }
    }

    /// The CORS headers and preflight responses of this policy, if any. Credentials are not allowed: a token is sent
    /// in `Authorization` or the handshake, never in a cookie.
    pub(crate) fn cors(&self) -> Option<CorsLayer> {
        let allowed = match &self.0 {
            Policy::SameOrigin => return None,
            Policy::Any => AllowOrigin::from(Any),
            Policy::Listed(listed) => {
                let listed = Arc::clone(listed);
                AllowOrigin::predicate(move |origin, _| {
                    normal_header(origin).is_some_and(|origin| listed.contains(&origin))
                })
            }
        };
        let headers = [
            AUTHORIZATION,
            CONTENT_TYPE,
            CONTENT_ENCODING,
            IF_MATCH,
            IF_NONE_MATCH,
            // An `EventSource` sends it without CORS; a page that uses `fetch` needs permission.
            HeaderName::from_static("last-event-id"),
        ];
        Some(
            CorsLayer::new()
                .allow_origin(allowed)
                .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
                .allow_headers(headers)
                .expose_headers([ETAG, RETRY_AFTER]),
        )
    }
}

/// Whether `origin` is the server that the request was sent to. The scheme is not compared: behind a proxy that
/// terminates TLS the server does not know its own.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    host.to_str().is_ok_and(|host| {
        let host = host.to_ascii_lowercase();
        without_default_port(scheme, &host) == authority
    })
}

fn normal_header(origin: &HeaderValue) -> Option<String> {
    normal(origin.to_str().ok()?)
}

/// The origin in lower case and without its scheme's default port; `None` if it is not an origin.
fn normal(origin: &str) -> Option<String> {
    let origin = origin.to_ascii_lowercase();
    let (scheme, authority) = origin.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one));
    let is_authority = !authority.is_empty()
        && authority
            .chars()
            .all(|one| one.is_ascii_alphanumeric() || "-._:[]".contains(one));
    (is_scheme && is_authority)
        .then(|| format!("{scheme}://{}", without_default_port(scheme, authority)))
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => return authority,
    };
    authority.strip_suffix(port).unwrap_or(authority)
}
