use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Request},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use hyper_util::rt::TokioIo;
use tallycast::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, mpsc},
    time::{Instant, sleep},
};

use super::SLOW_CLIENT_MAX;
use crate::support::{
    raw_http::status,
    router_server::{GET, GET_AND_CLOSE, RouterServer, UPGRADE, upgrading},
};

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn handlers_see_the_clients_address() {
    let router = Router::new().route(
        "/",
        get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
    );
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send(GET_AND_CLOSE).await;
    let answer = client.rest().await;
    let address = client.0.local_addr().unwrap().to_string();
    assert!(answer.ends_with(&address), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn kept_alive_connection_may_rest_but_not_for_ever() {
    let server = RouterServer::start(hello(), Limits::default()).await;
    let mut client = server.client().await;
    for _ in 0..3 {
        client.send(GET).await;
        assert_eq!(status(&client.answer().await), Some(200));
        sleep(Limits::IDLE_TIMEOUT - Duration::from_secs(5)).await;
    }
    client.send(GET).await;
    assert_eq!(status(&client.answer().await), Some(200));
    let start = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!(start.elapsed() >= Limits::IDLE_TIMEOUT - Duration::from_secs(1));
    assert!(start.elapsed() <= Limits::IDLE_TIMEOUT + Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn handler_may_think_for_minutes() {
    let think = || async { sleep(Duration::from_secs(300)).await };
    let server = RouterServer::start(Router::new().route("/", get(think)), Limits::default()).await;
    let mut client = server.client().await;
    client.send(GET_AND_CLOSE).await;
    assert_eq!(status(&client.rest().await), Some(200));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let router = Router::new().route(
        "/{n}",
        get(|uri: axum::http::Uri| async move { uri.path().to_owned() }),
    );
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client
        .send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;
    let answers = client.rest().await;
    let first = answers.find("/1").expect("the first is answered");
    let second = answers.find("/2").expect("the second is answered");
    assert!(first < second);
}

#[tokio::test]
async fn refusal_reaches_a_client_that_is_still_sending() {
    let router = Router::new()
        .route("/", post(|_: Bytes| async {}))
        .layer(DefaultBodyLimit::max(1024));
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    let body = vec![b'x'; 4 << 20];
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ))
        .await;
    client.send(body).await;
    assert_eq!(status(&client.rest().await), Some(413));
}

#[tokio::test(start_paused = true)]
async fn upgraded_handler_gets_the_tcp_stream_for_as_long_as_it_likes() {
    let (router, mut streams) = upgrading();
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send(UPGRADE).await;
    assert_eq!(status(&client.answer().await), Some(101));
    let (_early, mut stream, _slot) = streams.recv().await.unwrap();
    sleep(Duration::from_secs(3600)).await;
    client.send("\nping").await;
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"\nping");
    stream.write_all(b"pong").await.unwrap();
    drop(stream);
    assert_eq!(client.rest().await, "pong");
}

#[tokio::test(start_paused = true)]
async fn upgraded_connection_may_rest_but_not_stall() {
    let (ended, mut errors) = mpsc::unbounded_channel();
    let upgrade = move |request: Request| async move {
        tokio::spawn(async move {
            let mut stream = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            stream.read_u8().await.unwrap();
            let error = loop {
                if let Err(error) = stream.write_all(&[0; 4096]).await {
                    break error;
                }
            };
            ended.send(error).unwrap();
        });
        let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "raw")];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    };
    let server =
        RouterServer::start(Router::new().route("/", get(upgrade)), Limits::default()).await;
    let mut client = server.client().await;
    client.send(UPGRADE).await;
    assert_eq!(status(&client.answer().await), Some(101));
    sleep(Duration::from_secs(3600)).await;
    let start = Instant::now();
    client.send("x").await;
    let error = errors.recv().await.unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(start.elapsed() <= SLOW_CLIENT_MAX);
}

/// A handler that signals its start and waits for a signal to finish.
fn gated() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (announce, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let handler = move || async move {
        announce.notify_one();
        wait.notified().await;
        "done"
    };
    (Router::new().route("/", get(handler)), begun, go_on)
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_closes_the_idle() {
    let (router, begun, go_on) = gated();
    let mut server = RouterServer::start(
        router.merge(Router::new().route("/hello", get(|| async {}))),
        Limits::default(),
    )
    .await;
    let mut fresh = server.client().await;
    let mut idle = server.client().await;
    idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(status(&idle.answer().await), Some(200));
    let mut busy = server.client().await;
    busy.send(GET).await;
    begun.notified().await;

    server.begin_shutdown();
    assert_eq!(idle.rest().await, "");
    assert_eq!(fresh.rest().await, "");
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "accepts no more"
    );
    go_on.notify_one();
    assert!(busy.rest().await.ends_with("done"));
    drop((idle, fresh, busy));
    server.ended().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_what_does_not_finish() {
    let (router, begun, _go_on) = gated();
    let mut server = RouterServer::start(router, Limits::default()).await;
    let mut stuck = server.client().await;
    stuck.send(GET).await;
    begun.notified().await;
    let start = Instant::now();
    server.begin_shutdown();
    server.ended().await;
    assert!(start.elapsed() >= Limits::DRAIN_TIMEOUT);
    assert!(start.elapsed() <= Limits::DRAIN_TIMEOUT + Duration::from_secs(1));
    assert_eq!(stuck.rest().await, "");
}

#[tokio::test]
async fn dropped_server_cuts_its_connections() {
    let (router, begun, _go_on) = gated();
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    client.send(GET).await;
    begun.notified().await;
    server.task.abort();
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn servers_side_by_side_live_their_own_lives() {
    let mut first = RouterServer::start(hello(), Limits::default()).await;
    let second = RouterServer::start(hello(), Limits::default()).await;
    first.begin_shutdown();
    first.ended().await;
    let mut client = second.client().await;
    client.send(GET_AND_CLOSE).await;
    assert_eq!(status(&client.rest().await), Some(200));
}
