use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use futures_util::stream;
use tallycast::Limits;
use tokio::{
    io::AsyncReadExt,
    sync::mpsc,
    time::{Instant, sleep},
};

use super::SLOW_CLIENT_MAX;
use crate::support::{
    raw_http::status,
    router_server::{GET, RawClient, RouterServer},
};

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route(
        "/",
        post(|body: Bytes| async move { body.len().to_string() }),
    )
}

async fn attack() -> (RouterServer, RawClient, Instant) {
    let server = RouterServer::start(hello(), Limits::default()).await;
    let client = server.client().await;
    (server, client, Instant::now())
}

/// Sends `bytes` one at a time with `pause` between, until the server closes; returns the answer.
async fn trickle(client: &mut RawClient, bytes: &[u8], pause: Duration) -> String {
    let (mut read, mut write) = client.0.split();
    let writing = async {
        for byte in bytes {
            sleep(pause).await;
            if tokio::io::AsyncWriteExt::write_all(&mut write, &[*byte])
                .await
                .is_err()
            {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = writing => unreachable!(),
        _ = read.read_to_end(&mut answer) => {}
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test(start_paused = true)]
async fn silent_client_is_closed() {
    let (_server, mut client, start) = attack().await;
    assert_eq!(client.rest().await, "");
    assert!(start.elapsed() >= Limits::HEAD_TIMEOUT);
    assert!(start.elapsed() <= SLOW_CLIENT_MAX);
}

#[tokio::test(start_paused = true)]
async fn head_that_trickles_is_closed() {
    for pause in [1, 3, 9] {
        let (_server, mut client, start) = attack().await;
        let head = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 100]].concat();
        let answer = trickle(&mut client, &head, Duration::from_secs(pause)).await;
        assert_eq!(answer, "");
        assert!(start.elapsed() <= SLOW_CLIENT_MAX, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn later_head_that_trickles_is_closed() {
    let (_server, mut client, _) = attack().await;
    client.send(GET).await;
    assert_eq!(status(&client.answer().await), Some(200));
    let start = Instant::now();
    client.send("G").await;
    assert_eq!(client.rest().await, "");
    assert!(start.elapsed() <= SLOW_CLIENT_MAX, "{:?}", start.elapsed());
}

/// Its first bytes came along with the request before it.
#[tokio::test(start_paused = true)]
async fn early_head_that_does_not_end_is_closed() {
    let (_server, mut client, start) = attack().await;
    client.send([GET, b"GET / HTTP/1.1\r\n"].concat()).await;
    assert_eq!(status(&client.rest().await), Some(200));
    assert!(start.elapsed() >= Limits::HEAD_TIMEOUT);
    assert!(start.elapsed() <= SLOW_CLIENT_MAX, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn body_that_trickles_is_closed() {
    for pause in [1, 3, 9] {
        let (_server, mut client, start) = attack().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n")
            .await;
        let answer = trickle(&mut client, &[b'x'; 100], Duration::from_secs(pause)).await;
        assert_ne!(status(&answer), Some(200), "{answer}");
        assert!(start.elapsed() <= SLOW_CLIENT_MAX, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn body_that_never_comes_is_closed() {
    let (_server, mut client, start) = attack().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    assert_ne!(status(&client.rest().await), Some(200));
    assert!(start.elapsed() <= SLOW_CLIENT_MAX);
}

#[tokio::test(start_paused = true)]
async fn body_that_stalls_after_a_fast_start_is_closed() {
    let (_server, mut client, start) = attack().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000001\r\n\r\n")
        .await;
    client.send(vec![b'x'; 1_000_000]).await;
    assert_ne!(status(&client.rest().await), Some(200));
    assert!(start.elapsed() <= SLOW_CLIENT_MAX);
}

#[tokio::test(start_paused = true)]
async fn slow_but_steady_body_is_taken() {
    let (_server, mut client, start) = attack().await;
    let second = vec![b'x'; 2 * Limits::BODY_RATE_MIN as usize];
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        60 * second.len()
    );
    client.send(head).await;
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        client.send(&second).await;
    }
    assert_eq!(status(&client.answer().await), Some(200));
    assert!(start.elapsed() >= Duration::from_secs(60));
}

/// Reports its drop.
struct Alive(mpsc::UnboundedSender<()>);

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// An endless answer, and a channel that reports its end.
fn endless() -> (Router, mpsc::UnboundedReceiver<()>) {
    let (sender, ended) = mpsc::unbounded_channel();
    let chunks = move || async move {
        let alive = Alive(sender);
        Body::from_stream(stream::repeat_with(move || {
            let _held = &alive;
            Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]))
        }))
    };
    (Router::new().route("/", get(chunks)), ended)
}

#[tokio::test(start_paused = true)]
async fn client_that_stops_reading_is_closed() {
    let (router, mut ended) = endless();
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send(GET).await;
    let start = Instant::now();
    ended.recv().await.unwrap();
    assert!(start.elapsed() <= SLOW_CLIENT_MAX, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn client_that_reads_a_byte_a_second_is_closed() {
    let (router, mut ended) = endless();
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send(GET).await;
    let start = Instant::now();
    let reading = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            client.0.read_u8().await.unwrap();
        }
    };
    tokio::select! {
        () = reading => unreachable!(),
        word = ended.recv() => word.unwrap(),
    }
    assert!(start.elapsed() <= SLOW_CLIENT_MAX, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn slow_but_steady_reader_is_served() {
    let (router, _ended) = endless();
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send(GET).await;
    let mut second = vec![0; 64 * 1024];
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        client.0.read_exact(&mut second).await.unwrap();
    }
}
