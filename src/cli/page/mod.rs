//! The web page that a server serves at `/`: the files of a folder, or those built into the binary.

mod folder_files;

use std::path::Path;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{
    HeaderName, HeaderValue, StatusCode, Uri,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use percent_encoding::percent_decode_str;
use tower_http::services::ServeDir;

use super::command_error::CommandError;
use folder_files::FolderFiles;

const INDEX: &str = "index.html";

/// Where bundlers put files with a content hash in their name.
const HASHED: &str = "/assets/";

/// Path prefixes that belong to the hub. No file is served below them, even where the hub has no route.
const HUB_PREFIXES: [&str; 2] = ["v1", "socket.io"];

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// A file of the built-in page: its path and its bytes.
type File = (&'static str, &'static [u8]);

#[cfg(feature = "page")]
static BUILT_IN: &[File] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));
#[cfg(not(feature = "page"))]
static BUILT_IN: &[File] = &[];

/// The files of a page, as routes without headers.
#[derive(Debug)]
pub(super) struct WebPage(Router);

impl WebPage {
    /// The files of a folder.
    ///
    /// # Errors
    /// If the folder contains no `index.html`.
    pub(super) fn folder(folder: &Path) -> Result<Self, CommandError> {
        let files = FolderFiles::of(folder);
        let why = match files.find(&folder.join(INDEX)) {
            Ok((_, index)) if index.is_file() => {
                let files = ServeDir::with_backend(folder, files);
                return Ok(Self(Router::new().fallback_service(files)));
            }
            Ok(_) => "not a file".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(CommandError::usage(format_args!(
            "page {folder:?}: no {INDEX} in this folder ({why}); name the folder of a built page, such as \
             client-demo/dist after `make page`"
        )))
    }

    /// The demo's page, if it is built in (feature `page`).
    pub(super) fn built_in() -> Option<Self> {
        (!BUILT_IN.is_empty()).then(|| Self::of(BUILT_IN))
    }

    fn of(files: &'static [File]) -> Self {
        Self(Router::new().fallback_service(get(async move |uri: Uri| file(files, &uri))))
    }

    /// Routes for all paths without a route of the hub. The page may also connect to `extra_ports`.
    pub(super) fn router(self, extra_ports: &[u16]) -> Router {
        self.0.layer(middleware::from_fn_with_state(
            content_policy(extra_ports),
            respond,
        ))
    }
}

fn file(files: &'static [File], uri: &Uri) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => INDEX,
        path => path,
    };
    let Some((name, bytes)) = files.iter().find(|(name, _)| *name == path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let media_type = mime_guess::from_path(name).first_or_octet_stream();
    ([(CONTENT_TYPE, media_type.as_ref())], *bytes).into_response()
}

/// Adds the page's headers to each response, and responds to hidden paths itself.
async fn respond(State(policy): State<HeaderValue>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let is_hashed = uri.path().starts_with(HASHED);
    let mut response = match is_hidden(uri.path()) {
        true => StatusCode::NOT_FOUND.into_response(),
        false => next.run(request).await,
    };
    if response.headers().contains_key(LOCATION) {
        response.headers_mut().insert(LOCATION, with_slash(&uri));
    }
    let is_found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let caching = match is_hashed && is_found {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, HeaderValue::from_static(caching)),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (headers, response).into_response()
}

/// Whether a path belongs to the hub, names a dotfile (`.git`, `.env`), or leaves the folder.
fn is_hidden(path: &str) -> bool {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    parts.peek().is_some_and(|part| HUB_PREFIXES.contains(part))
        || parts.any(|part| part.starts_with('.'))
}

/// Where the path of a folder redirects to: the same path with a slash at its end, so that relative links of the
/// folder's index work.
///
/// It is relative to the requested path. A browser reads an absolute `//name/` or `/\name/` as another host, and
/// the request itself may name one (`GET http://name/folder`).
fn with_slash(uri: &Uri) -> HeaderValue {
    let (_, name) = uri.path().rsplit_once('/').unwrap_or(("", uri.path()));
    // Without the dot, a name with a colon would be read as a scheme.
    let location = match uri.query() {
        Some(query) => format!("./{name}/?{query}"),
        None => format!("./{name}/"),
    };
    HeaderValue::try_from(location).expect("a URI has no control characters")
}

/// The page runs only its own script files, and connects only to this server.
fn content_policy(extra_ports: &[u16]) -> HeaderValue {
    // The page may be opened under any name of its machine, and `'self'` does not cover other ports.
    let sources = |port: &u16| format!(" http://*:{port} ws://*:{port}");
    let extra_sources: String = extra_ports.iter().map(sources).collect();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'{extra_sources}; frame-src 'self'; manifest-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    HeaderValue::try_from(policy).expect("it is printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    static FILES: &[File] = &[
        ("assets/page-1a2b.js", b"// a script"),
        ("index.html", b"<!doctype html>"),
    ];

    async fn get(page: WebPage, method: &str, path: &str) -> (StatusCode, [String; 2], Vec<u8>) {
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).unwrap();
        let response = page.router(&[]).oneshot(request).await.unwrap();
        let header = |name| {
            let value = response.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let headers = [header(CONTENT_TYPE), header(CACHE_CONTROL)];
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, headers, body.to_vec())
    }

    #[tokio::test]
    async fn a_built_in_page_is_served_like_a_folder() {
        let (status, [media_type, caching], body) = get(WebPage::of(FILES), "GET", "/").await;
        assert_eq!((status, &*media_type), (StatusCode::OK, "text/html"));
        assert_eq!((&*caching, &*body), ("no-cache", FILES[1].1));

        let script = "/assets/page-1a2b.js";
        let (status, [media_type, caching], body) = get(WebPage::of(FILES), "GET", script).await;
        assert_eq!((status, &*media_type), (StatusCode::OK, "text/javascript"));
        assert!(caching.ends_with("immutable"), "{caching}");
        assert_eq!(body, FILES[0].1);

        let (status, _, body) = get(WebPage::of(FILES), "HEAD", script).await;
        assert_eq!((status, body.len()), (StatusCode::OK, 0));
        for (method, path, expected) in [
            ("GET", "/assets", StatusCode::NOT_FOUND),
            ("GET", "/assets/page-0000.js", StatusCode::NOT_FOUND),
            ("POST", "/", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let (status, [_, caching], _) = get(WebPage::of(FILES), method, path).await;
            assert_eq!((status, &*caching), (expected, "no-cache"), "{path}");
        }
    }

    #[cfg(feature = "page")]
    #[tokio::test]
    async fn a_build_with_a_page_serves_each_of_its_files() {
        let index = BUILT_IN.iter().find(|(name, _)| *name == INDEX).unwrap().1;
        assert_eq!(get(WebPage::built_in().unwrap(), "GET", "/").await.2, index);
        for (name, bytes) in BUILT_IN {
            let path = format!("/{name}");
            let (status, _, body) = get(WebPage::built_in().unwrap(), "GET", &path).await;
            assert_eq!((status, &*body), (StatusCode::OK, *bytes), "{name}");
        }
    }
}
