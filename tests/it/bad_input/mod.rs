//! Bad input: what each gets on every transport that it concerns, and that it harms nobody.
//!
//! The table of all cases is in `docs/security.md`, with the tests of other folders.

mod accounts;
mod attachments;
mod bodies;
mod ended_tokens;
mod framing;
mod json;
mod origins;
mod session_ids;
mod texts;
mod times_and_queries;
mod tokens;
#[cfg(feature = "cli")]
mod traces;

/// The public routes that only read, with their method.
const GETS: [(&str, &str); 8] = [
    ("GET", "/v1/feeds/{account}"),
    ("GET", "/v1/feeds/{account}/entries"),
    ("GET", "/v1/feeds/{account}/ws"),
    ("GET", "/v1/feeds/{account}/sse"),
    ("GET", "/v1/feeds/{account}/stream"),
    ("GET", "/v1/feeds/{account}/iframe"),
    ("GET", "/v1/accounts/{account}"),
    ("GET", "/v1/accounts/{account}/totals"),
];

/// Those that change something.
const WRITES: [(&str, &str); 7] = [
    ("POST", "/v1/events"),
    ("POST", "/v1/push"),
    ("POST", "/v1/tickets"),
    ("POST", "/v1/revocations"),
    ("POST", "/v1/disconnect"),
    ("PUT", "/v1/accounts/{account}"),
    ("DELETE", "/v1/accounts/{account}"),
];
