//! Several requests on one connection, in any segments: each is checked like the first.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, http::Uri, routing::any};
use proptest::prelude::*;
use tallycast::Limits;

use super::malformed_requests::AMBIGUOUS;
use crate::support::{
    raw_http::statuses,
    router_server::{GET, RawClient, RouterServer, UPGRADE, upgrading},
};

/// A server that counts as seen what its router gets: the path and the body of each request.
struct SeeingServer {
    server: RouterServer,
    seen: Arc<Mutex<Vec<(String, Bytes)>>>,
}

impl SeeingServer {
    async fn start() -> Self {
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let seeing = Arc::clone(&seen);
        let router = Router::new().fallback(any(move |uri: Uri, body: Bytes| async move {
            seeing.lock().unwrap().push((uri.path().to_owned(), body));
        }));
        let server = RouterServer::start(router, Limits::default()).await;
        Self { server, seen }
    }

    /// Sends the pieces, each in a segment of its own where the kernel agrees; returns the statuses until the server
    /// closes.
    async fn statuses_of<'a>(&self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u16> {
        let RawClient(client) = self.server.client().await;
        client.set_nodelay(true).unwrap();
        let (mut read, mut write) = client.into_split();
        let writing = async {
            for piece in pieces {
                // A refused client may find the connection closed before it has sent everything.
                if tokio::io::AsyncWriteExt::write_all(&mut write, piece)
                    .await
                    .is_err()
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let reading = async {
            let mut text = Vec::new();
            let _reset = tokio::io::AsyncReadExt::read_to_end(&mut read, &mut text).await;
            text
        };
        let ((), text) = tokio::join!(writing, reading);
        statuses(&String::from_utf8(text).unwrap())
    }

    fn seen(&self) -> Vec<(String, Bytes)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn an_ambiguous_request_behind_a_good_one_is_refused() {
    let server = SeeingServer::start().await;
    let posts: [&[u8]; 3] = [
        GET,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\na\r\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\na\n\n\r\n0\r\nX: y\r\n\r\n",
    ];
    for good in posts {
        for bad in AMBIGUOUS {
            let all = [good, bad.as_bytes(), LAST].concat();
            assert_eq!(server.statuses_of([&all[..]]).await, [200, 400], "{bad:?}");
            assert_eq!(server.seen().len(), 1, "{bad:?}");
        }
    }
}

#[tokio::test]
async fn an_ambiguous_request_is_refused_however_it_is_cut() {
    let server = SeeingServer::start().await;
    for bad in AMBIGUOUS {
        let all = [GET, bad.as_bytes(), LAST].concat();
        for cut in GET.len() - 4..GET.len() + bad.len() {
            let (one, other) = all.split_at(cut);
            let statuses = server.statuses_of([one, other]).await;
            assert_eq!(statuses, [200, 400], "{bad:?} cut at {cut}");
            assert_eq!(server.seen().len(), 1, "{bad:?} cut at {cut}");
        }
    }
}

/// They are no request, even if they look like an ambiguous one.
#[tokio::test]
async fn bytes_behind_an_upgrade_are_left_alone() {
    const EARLY: &[u8] = b"\n\0GET / HTTP/1.1\n\n";
    let (router, mut upgraded) = upgrading();
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send([UPGRADE.as_bytes(), EARLY].concat()).await;
    let (mut early, mut tcp, _slot) = upgraded.recv().await.unwrap();
    if early.len() < EARLY.len() {
        let mut rest = vec![0; EARLY.len() - early.len()];
        tokio::io::AsyncReadExt::read_exact(&mut tcp, &mut rest)
            .await
            .unwrap();
        early.extend(rest);
    }
    assert_eq!(early, EARLY);
}

/// The upgrade is refused, so what follows it is a request.
#[tokio::test]
async fn a_request_behind_a_refused_upgrade_is_checked() {
    let server = SeeingServer::start().await;
    for (behind, statuses) in [(LAST, [200, 200]), (AMBIGUOUS[0].as_bytes(), [200, 400])] {
        let all = [UPGRADE.as_bytes(), behind].concat();
        assert_eq!(server.statuses_of([&all[..]]).await, statuses);
    }
}

/// A read that ends between CR and LF, whatever the size of a read is.
#[tokio::test]
async fn twenty_requests_of_any_length_are_answered() {
    let server = SeeingServer::start().await;
    for bytes in [4_070, 8_140, 8_163, 8_166, 8_193] {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        let long = format!("{start}{}\r\n\r\n", "x".repeat(bytes - start.len() - 4));
        assert_eq!(long.len(), bytes);
        let all = [long.repeat(20).as_bytes(), LAST].concat();
        assert_eq!(server.statuses_of([&all[..]]).await, [200; 21], "{bytes}");
    }
}

#[derive(Clone, Debug)]
enum Form {
    Get,
    Length,
    Chunked { chunk_bytes: usize, trailer: bool },
}

/// A request without ambiguity.
fn good(number: usize, form: &Form, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /{number} HTTP/1.1\r\nHost: a\r\n");
    match form {
        Form::Get => format!("GET /{number} HTTP/1.1\r\nhost:a\r\n\r\n").into_bytes(),
        Form::Length => {
            let length = format!("content-LENGTH:\t{} \r\n\r\n", body.len());
            [head.as_bytes(), length.as_bytes(), body].concat()
        }
        Form::Chunked {
            chunk_bytes,
            trailer,
        } => {
            let mut bytes = format!("{head}Transfer-Encoding: Chunked\r\n\r\n").into_bytes();
            for chunk in body.chunks(*chunk_bytes) {
                bytes.extend(format!("{:X};name=\"value\"\r\n", chunk.len()).bytes());
                bytes.extend([chunk, b"\r\n"].concat());
            }
            bytes.extend_from_slice(b"00\r\n");
            if *trailer {
                bytes.extend_from_slice(b"Content-Length: 7\r\nTransfer-Encoding: x\r\n");
            }
            bytes.extend_from_slice(b"\r\n");
            bytes
        }
    }
}

fn form() -> impl Strategy<Value = Form> {
    prop_oneof![
        Just(Form::Get),
        Just(Form::Length),
        (1_usize..40, proptest::bool::ANY).prop_map(|(chunk_bytes, trailer)| Form::Chunked {
            chunk_bytes,
            trailer
        }),
    ]
}

/// A body that looks like requests and ends of lines to a scan that has lost its place.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(&b"\r\n"[..]),
        Just(&b"\n"[..]),
        Just(&b"0\r\n\r\n"[..]),
        Just(&b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"[..]),
        Just(&b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"[..]),
        Just(&b"x"[..]),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// The model: the router sees the good requests up to the first bad one, each with its own body, and nothing
    /// else; every one of them is answered 200, the bad one 400.
    #[test]
    fn the_router_sees_good_requests_up_to_the_first_bad_one(
        requests in prop::collection::vec((form(), body()), 0..6),
        bad in prop::option::of(prop::sample::select(&AMBIGUOUS[..])),
        cuts in prop::collection::vec(1_usize..60, 0..60),
    ) {
        let mut sent = Vec::new();
        let mut expected = Vec::new();
        for (number, (form, body)) in requests.iter().enumerate() {
            sent.extend(good(number, form, body));
            let has_body = !matches!(form, Form::Get);
            expected.push((format!("/{number}"), if has_body { &body[..] } else { b"" }));
        }
        let mut statuses = vec![200; requests.len()];
        sent.extend(bad.map_or(b"" as &[u8], str::as_bytes));
        sent.extend_from_slice(LAST);
        if bad.is_some() {
            statuses.push(400);
        } else {
            statuses.push(200);
            expected.push(("/last".to_owned(), b""));
        }
        let mut rest = &sent[..];
        let mut pieces = Vec::new();
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answered, seen) = runtime.block_on(async {
            let server = SeeingServer::start().await;
            (server.statuses_of(pieces).await, server.seen())
        });
        prop_assert_eq!(answered, statuses);
        let seen: Vec<_> = seen.iter().map(|(path, body)| (path.clone(), &body[..])).collect();
        prop_assert_eq!(seen, expected);
    }
}
