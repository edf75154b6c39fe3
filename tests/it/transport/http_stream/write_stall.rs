//! Clients that stop reading a streamed response.

use std::{future::IntoFuture, time::Duration};

use tallycast::{Limits, serve};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::support::{
    SOON,
    feed_hub::{ALICE, settings},
    host::Host,
    raw_http::connect_narrow,
    raw_websocket::cut,
};

const STALL: Duration = Duration::from_millis(400);

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut() {
    let hub = settings().write_stall(STALL).build().await.unwrap();
    // An iframe's page is written by hyper.
    let limits = Limits {
        write_stall_timeout: STALL,
        ..Limits::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(listener, hub.router(), limits).into_future());
    let host = Host::start(hub).await;
    let mut stalled = Vec::new();
    for path in ["sse", "stream", "iframe?callback=f"] {
        let mut tcp = connect_narrow(address).await;
        let request = format!(
            "GET /v1/feeds/alice/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALICE}\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut tcp, &mut status)
            .await
            .unwrap();
        assert_eq!(status, *b"HTTP/1.1 200");
        stalled.push((path, tcp));
    }
    host.record_much().await;
    for (path, tcp) in &stalled {
        let tcp: &TcpStream = tcp;
        assert!(timeout(SOON, cut(tcp)).await.is_ok(), "{path}");
    }
    serving.abort();
}

#[tokio::test]
async fn a_blocked_write_ends_with_its_token() {
    let hub = settings().write_stall(Duration::from_secs(60)).build();
    let host = Host::start(hub.await.unwrap()).await;
    let mut stalled = Vec::new();
    for path in ["sse", "stream"] {
        let mut tcp = connect_narrow(host.address).await;
        let request = format!(
            "GET /v1/feeds/alice/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice/alice/1500\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        stalled.push(tcp);
    }
    host.record_much().await;
    for tcp in &stalled {
        cut(tcp).await;
    }
    host.until_no_task().await;
}
