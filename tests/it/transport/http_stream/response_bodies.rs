//! Streamed responses: our accept loop writes them past HTTP, other servers through HTTP, with the same bytes.

use std::{mem::MaybeUninit, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::HeaderValue,
    middleware,
    response::Response,
};
use futures_util::StreamExt;
use serde_json::Value;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    SOON,
    feed_hub::{ALICE, host, record_meanwhile, settings},
    host::Host,
    raw_http::connect_narrow,
    raw_sse::{RawSse, get},
};

/// The server's bound on bytes after the request, which it reads and discards.
const HEARD_BYTES_MAX: usize = 1024 * 1024;

/// The body of a stream, as an HTTP client sees it.
struct Followed {
    response: reqwest::Response,
    text: String,
}

impl Followed {
    async fn open(host: &Host, path: &str) -> Self {
        let url = format!("http://{}/v1/feeds/alice/{path}", host.address);
        let asked = reqwest::Client::new().get(url).bearer_auth(ALICE).send();
        let response = timeout(SOON, asked).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        let text = String::new();
        Self { response, text }
    }

    /// Reads until the text contains `last`, or to the end.
    async fn until(&mut self, last: &str) {
        while !self.text.contains(last) {
            let chunk = timeout(SOON, self.response.chunk()).await.unwrap();
            let Some(chunk) = chunk.unwrap() else { return };
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }
}

#[tokio::test]
async fn past_http_and_by_http_it_is_the_same_body() {
    for path in ["sse", "stream"] {
        let hub = settings().build().await.unwrap();
        let hosts = [
            Host::start(hub.clone()).await,
            Host::embed(hub.clone(), hub.router(), "").await,
        ];
        hosts[0].record("alice", 1..=3).await;
        let mut both = Vec::new();
        for host in &hosts {
            let mut followed = Followed::open(host, path).await;
            followed.until("\"live\"").await;
            both.push(followed);
        }
        for offset in 4..=6 {
            hosts[0].record("alice", offset..=offset).await;
            for followed in &mut both {
                followed.until(&format!("\"to\":{offset}")).await;
            }
        }
        hub.drain(Duration::ZERO).await;
        for followed in &mut both {
            followed.until("closing").await;
            followed.until("no more").await;
        }
        assert_eq!(both[0].text, both[1].text);
    }
}

#[tokio::test]
async fn direct_delivery_writes_before_the_event_is_answered() {
    let host = host().await;
    let mut sse = RawSse::open(host.address).await;
    sse.until_live().await;
    assert!(
        sse.head.contains("\r\nconnection: close\r\n"),
        "{}",
        sse.head
    );
    assert!(sse.head.contains("\r\ntransfer-encoding: chunked\r\n"));
    let (mut offset, mut at_hand) = (0, 0);
    // Direct delivery starts as soon as its task waits.
    while at_hand < 4 {
        offset += 1;
        assert!(offset < 1_000, "direct delivery does not start");
        // No task of this runtime can run meanwhile.
        record_meanwhile(&host.hub, offset..=offset);
        let is_there = SockRef::from(&sse.io)
            .peek(&mut [MaybeUninit::uninit()])
            .is_ok();
        at_hand = if is_there { at_hand + 1 } else { 0 };
        sse.read_to(offset - 1, offset).await;
    }
    record_meanwhile(&host.hub, offset + 1..=offset + 4);
    sse.read_to(offset, offset + 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_late_gets_whole_chunks_in_order() {
    let host = host().await;
    let mut late = RawSse::over(connect_narrow(host.address).await).await;
    let mut prompt = RawSse::open(host.address).await;
    late.until_live().await;
    prompt.until_live().await;
    let mut offset = 0;
    for round in 0..20 {
        // The size of one read varies: part of a chunk, or many chunks.
        for _ in 0..=round * 7 {
            offset += 1;
            let text = "电".repeat(usize::try_from(offset % 50).unwrap() * 10);
            host.record_described("alice", offset, &text).await;
            prompt.read_to(offset - 1, offset).await;
        }
        let behind = offset - 1 - round * 7;
        late.read_to(behind, offset).await;
    }
    let drained = async {
        host.hub.drain(Duration::ZERO).await;
    };
    let said = async {
        for sse in [&mut late, &mut prompt] {
            sse.expect("closing").await;
            assert_eq!(sse.event().await, None);
        }
    };
    tokio::join!(drained, said);
}

/// Slow readers of earlier answers: hyper still holds the head of the stream, or earlier answers.
#[tokio::test(flavor = "multi_thread")]
async fn what_http_has_not_written_yet_comes_first() {
    const BEFORE: usize = 30;
    const READERS: usize = 40;
    let host = host().await;
    for id in 1..=20 {
        host.record_described("alice", id, &"电".repeat(500)).await;
    }
    let mut requests = get("entries?limit=20", "1.1").repeat(BEFORE);
    requests += &get("stream", "1.1");
    let read = |_| async {
        let mut tcp = connect_narrow(host.address).await;
        tcp.write_all(requests.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\"offset\":20}\n\r\n") {
            let read = timeout(SOON, tcp.read_buf(&mut bytes)).await.unwrap();
            assert_ne!(read.unwrap(), 0, "{}", String::from_utf8_lossy(&bytes));
        }
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), BEFORE + 1);
        let (_, stream) = text.rsplit_once("HTTP/1.1 200 OK").unwrap();
        let (head, body) = stream.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        let (size, chunk) = body.split_once("\r\n").unwrap();
        let (snapshot, live) = chunk.split_at(usize::from_str_radix(size, 16).unwrap());
        assert!(snapshot.starts_with("{\"type\":\"snapshot\""), "{snapshot}");
        assert!(live.contains("{\"type\":\"live\""), "{live}");
    };
    futures_util::future::join_all((0..READERS).map(read)).await;
}

#[tokio::test]
async fn what_a_layer_encodes_is_left_to_http() {
    let hub = settings().build().await.unwrap();
    let encode = async |mut response: Response| {
        let encoding = HeaderValue::from_static("shifted");
        response.headers_mut().insert("content-encoding", encoding);
        response.map(|body| {
            let chunks = body.into_data_stream();
            Body::from_stream(chunks.map(|chunk| {
                let shift = |chunk: Bytes| chunk.iter().map(|byte| byte + 1).collect::<Vec<u8>>();
                chunk.map(shift)
            }))
        })
    };
    let router = hub.router().layer(middleware::map_response(encode));
    let host = Host::start_router(hub.clone(), router).await;
    let mut followed = Followed::open(&host, "stream").await;
    // A brace.
    followed.until("|").await;
    assert!(followed.text.starts_with('|'), "{}", followed.text);
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks() {
    let host = host().await;
    let mut tcp = TcpStream::connect(host.address).await.unwrap();
    let request = get("stream", "1.0");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    // The drain must come after the connection is accepted.
    while !text.contains("\"live\"") {
        let mut some = [0; 4096];
        let read = timeout(SOON, tcp.read(&mut some)).await.unwrap().unwrap();
        text += std::str::from_utf8(&some[..read]).unwrap();
    }
    let rest = tcp.read_to_string(&mut text);
    let (rest, ()) = tokio::join!(timeout(SOON, rest), host.hub.drain(Duration::ZERO));
    rest.unwrap().unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("chunked"), "{head}");
    let types = body.lines().map(|line| {
        let message: Value = serde_json::from_str(line).unwrap();
        message["type"].as_str().unwrap().to_owned()
    });
    assert_eq!(types.collect::<Vec<_>>(), ["snapshot", "live", "closing"]);
}

#[tokio::test]
async fn what_a_client_sends_behind_its_request_is_not_heard_and_has_a_bound() {
    let host = host().await;
    let mut sse = RawSse::open(host.address).await;
    sse.until_live().await;
    // Another request, which is not answered, as the head announced.
    sse.io.write_all(get("", "1.1").as_bytes()).await.unwrap();
    host.record("alice", 1..=2).await;
    sse.read_to(0, 2).await;

    let (mut reading, mut writing) = sse.io.into_split();
    let flood = async move {
        let some = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        while writing.write_all(&some).await.is_ok() {
            sent += some.len();
            assert!(sent < 64 * HEARD_BYTES_MAX, "it ends");
        }
    };
    let end = async move {
        let mut rest = Vec::new();
        // A reset, since the client was still sending.
        let _reset = reading.read_to_end(&mut rest).await;
    };
    timeout(SOON, async { tokio::join!(flood, end) })
        .await
        .expect("it is cut");
    host.until_no_task().await;
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_no_task() {
    let host = host().await;
    let mut sse = RawSse::open(host.address).await;
    sse.until_live().await;
    drop(sse);
    host.until_no_task().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_at_rest_gives_signs_of_life() {
    for path in ["sse", "stream"] {
        let host = host().await;
        let mut tcp = TcpStream::connect(host.address).await.unwrap();
        // The paused clock jumps while bytes are on their way: the grant must not expire meanwhile.
        let request = get(path, "1.1").replace(ALICE, "alice/alice/31000000000");
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        let sign = if path == "sse" {
            "\r\n: still here\n\r\n"
        } else {
            "1\r\n\n\r\n"
        };
        while text.matches(sign).count() < 3 {
            let mut some = [0; 4096];
            let read = tcp.read(&mut some).await.unwrap();
            assert_ne!(read, 0, "{text}");
            text += std::str::from_utf8(&some[..read]).unwrap();
        }
    }
}
