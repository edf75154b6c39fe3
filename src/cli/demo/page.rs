use axum::{Router, response::IntoResponse, routing::get};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

/// The page's files: name and bytes.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

const INDEX: &str = "index.html";

/// The page takes everything from its own server, and runs no script but its files.
const POLICY: &str = "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'";

/// The routes of the page: `/` and a file each beside it.
pub(super) fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, (name, bytes)| {
        let path = match *name {
            INDEX => "/".to_owned(),
            name => format!("/{name}"),
        };
        router.route(&path, get(async || file(name, bytes)))
    })
}

fn file(name: &str, bytes: &'static [u8]) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, media_type(name)),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, bytes)
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_binary() {
        let index = FILES.iter().find(|(name, _)| *name == INDEX).unwrap().1;
        let text = std::str::from_utf8(index).unwrap();
        for word in ["1997", "CDNOW", "as of now", "12 accounts", "Lifetimes"] {
            assert!(text.contains(word), "the page says {word}");
        }
    }
}
