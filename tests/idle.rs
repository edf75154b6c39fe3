//! The memory of an idle connection. This test has a process of its own, since it counts the whole heap.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    future::IntoFuture,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    ops::Range,
};

use peak_alloc::PeakAlloc;
use tallycast::{
    Account, Grant, Hub, Jwt, Limits, Memory, Scope,
    access::{Accounts, Scopes, Signer},
    serve,
};
use tokio::{net::TcpListener, runtime::Runtime};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// A tenth above the measured value, of which the Socket.IO library holds nearly 17,000.
const SOCKET_IO_BYTES_MAX: usize = 21_900;
/// A tenth above the measured value: hyper no longer holds the connection.
const STREAM_BYTES_MAX: usize = 3_600;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// One test, since all tests share the heap.
#[test]
fn an_idle_connection_that_watches_an_account_holds_little() {
    let runtime = Runtime::new().unwrap();
    let address = runtime.block_on(start());
    let ways: [(Watch, usize); 2] = [
        (watch_socket_io, SOCKET_IO_BYTES_MAX),
        (watch_stream, STREAM_BYTES_MAX),
    ];
    for (watch, max) in ways {
        let watch = |numbers: Range<u32>| numbers.map(|n| watch(address, n));
        // The first few connections trigger all one-time allocations.
        let mut watching: Vec<_> = watch(0..20).collect();
        let before = HEAP.current_usage();
        watching.extend(watch(20..220));
        let bytes = (HEAP.current_usage() - before) / 200;
        println!("{bytes} bytes of heap each, at most {max}");
        assert!(bytes <= max, "{bytes} bytes of heap each");
    }
}

/// Follows an account of its own, until it is live. The client's side is a bare socket and holds nothing on the heap.
type Watch = fn(SocketAddr, u32) -> TcpStream;

/// A server in this process that runs until the runtime ends.
async fn start() -> SocketAddr {
    let access = Jwt::hs256(SECRET).unwrap();
    let hub = Hub::builder(Memory::new(), access).build();
    let router = hub.await.unwrap().router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections_per_peer_max: Some(Limits::CONNECTIONS_MAX),
        ..Limits::default()
    };
    tokio::spawn(serve(listener, router, limits).into_future());
    address
}

fn watch_socket_io(address: SocketAddr, number: u32) -> TcpStream {
    let mut tcp = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nUser-Agent: {}\r\n\r\n",
        "a browser's is long ".repeat(6),
    );
    tcp.write_all(request.as_bytes()).unwrap();
    read_until(&mut tcp, "0{\"sid\"");
    let connect = format!("40/feed,{{\"token\":\"{}\"}}", token(number));
    tcp.write_all(&frame(&connect)).unwrap();
    read_until(&mut tcp, "42/feed,[\"live\"");
    tcp
}

fn watch_stream(address: SocketAddr, number: u32) -> TcpStream {
    let mut tcp = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v1/feeds/{}/sse HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\nUser-Agent: {}\r\n\r\n",
        name(number),
        token(number),
        "a browser's is long ".repeat(6),
    );
    tcp.write_all(request.as_bytes()).unwrap();
    read_until(&mut tcp, "event: live");
    tcp
}

fn name(number: u32) -> String {
    format!("account-{number}")
}

fn token(number: u32) -> String {
    let name = name(number);
    let accounts = Accounts::only(Account::parse(&name).unwrap());
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let grant = Grant::new(name, Scopes::from_iter([Scope::Watch]), accounts).expiring_at(ends);
    Signer::hs256(SECRET).unwrap().sign(&grant).unwrap()
}

/// A text frame, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

fn read_until(tcp: &mut TcpStream, text: &str) {
    let (mut seen, mut some) = (Vec::new(), [0; 4096]);
    while !String::from_utf8_lossy(&seen).contains(text) {
        let count = tcp.read(&mut some).unwrap();
        assert!(count > 0, "closed after {}", String::from_utf8_lossy(&seen));
        seen.extend(&some[..count]);
    }
}
