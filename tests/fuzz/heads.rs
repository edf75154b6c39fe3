use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{Method, Uri},
    routing::any,
};
use futures_util::future::join_all;
use proptest::{collection::vec, prelude::any as any_value, sample::Index};
use tallycast::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{fuzzer::Fuzzer, mutation::Mutation, server::Server};

const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    "\0",
    ":",
    "Host: a",
    "Content-Length: 1",
    "Content-Length: +1",
    "content-length: 0",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "0\r\n\r\n",
    "1\r\na\r\n",
    "HTTP/1.0",
    "HTTP/1.1",
    "HTTP/2.0",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "Connection: close",
    "Expect: 100-continue",
    "Upgrade: websocket",
    "%00",
    "é",
];

/// How long the server waits for the rest of a request that never ends.
const UNFINISHED: Duration = Duration::from_secs(1);

/// How many requests are sent at a time, because some have to wait until the server gives up on them.
const AT_A_TIME: usize = 256;

/// The whole requests that have reached the router, by the client's address.
type Handled = Arc<Mutex<HashMap<SocketAddr, Vec<String>>>>;

#[test]
fn how_requests_are_split_changes_nothing_of_what_is_handled() {
    let server = Server::start();
    let handled = Handled::default();
    let log = Arc::clone(&handled);
    let handler = async move |ConnectInfo(peer), method: Method, uri: Uri, body: String| {
        let request = format!("{method} {uri} {body:?}");
        log.lock().unwrap().entry(peer).or_default().push(request);
    };
    let limits = Limits {
        head_timeout: UNFINISHED,
        idle_timeout: UNFINISHED,
        body_timeout: UNFINISHED,
        ..Limits::default()
    };
    let address = server.listen(Router::new().fallback(any(handler)), limits);
    let requests = async |bytes: &[u8], splits: &[usize]| {
        let client = send(address, bytes, splits).await;
        handled.lock().unwrap().remove(&client).unwrap_or_default()
    };
    let fuzzer = Fuzzer::new("heads");
    let splits = vec(any_value::<Index>(), 1..4);
    let head = (Mutation::of(fuzzer.corpus().to_vec(), WORDS), splits);
    fuzzer.run(&vec(head, 1..=AT_A_TIME), |heads| {
        let checks = heads.iter().map(async |(bytes, splits)| {
            let mut splits: Vec<usize> =
                splits.iter().map(|at| at.index(bytes.len() + 1)).collect();
            splits.sort_unstable();
            let whole = requests(bytes, &[]).await;
            let split = requests(bytes, &splits).await;
            assert_eq!(whole, split, "{bytes:?} at {splits:?}");
        });
        server.runtime.block_on(join_all(checks));
        Server::assert_sound();
    });
}

/// Sends these bytes in pieces, and waits until the server closes. Returns the client's address.
async fn send(server: SocketAddr, bytes: &[u8], splits: &[usize]) -> SocketAddr {
    let mut tcp = TcpStream::connect(server).await.unwrap();
    let client = tcp.local_addr().unwrap();
    tcp.set_nodelay(true).unwrap();
    let talk = async {
        let mut begin = 0;
        for end in splits.iter().copied().chain([bytes.len()]) {
            // The server may have closed already.
            if tcp.write_all(&bytes[begin..end]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
            begin = end;
        }
        let _: std::io::Result<usize> = tcp.read_to_end(&mut Vec::new()).await;
    };
    let ended = timeout(Duration::from_secs(10), talk).await;
    ended.expect("an end in time");
    client
}
