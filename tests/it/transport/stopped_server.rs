//! A server that was stopped for longer than any client may be silent: what has come meanwhile is read before a client
//! counts as gone.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;

use crate::support::{
    SOON,
    child_server::ChildServer,
    engineio_client::Ws,
    feed_hub::ALICE,
    raw_http,
    raw_websocket::{FIN, PING, PONG, RawWebSocket, masked},
    router_server::{GET, RawClient},
};

/// Enough that in a race one of them would lose.
const CLIENTS: usize = 40;

async fn socket_io(server: &ChildServer) -> Ws {
    let url = format!(
        "ws://{}/socket.io/?EIO=4&transport=websocket",
        server.address
    );
    let (stream, _) = connect_async(url).await.unwrap();
    let mut ws = Ws { stream };
    assert!(ws.text().await.starts_with("0{"));
    ws.join(&format!("40/feed,{}", json!({ "token": ALICE })))
        .await;
    ws
}

/// Reads until the server pings.
async fn pinged(ws: &mut Ws) {
    while ws.text().await != "2" {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn socket_io_clients_whose_pong_has_come_stay() {
    let server = ChildServer::start();
    let mut clients = join_all((0..CLIENTS).map(|_| socket_io(&server))).await;
    join_all(clients.iter_mut().map(pinged)).await;
    server
        .stopped_while(async {
            join_all(clients.iter_mut().map(|ws| ws.send("3"))).await;
        })
        .await;
    join_all(clients.iter_mut().map(async |ws| {
        ws.send("42/feed,7[\"history\",{\"account\":\"alice\"}]")
            .await;
        while !ws.packet().await.starts_with("43/feed,7[{") {}
        pinged(ws).await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn socket_io_clients_that_sent_nothing_are_gone() {
    let server = ChildServer::start();
    let mut ws = socket_io(&server).await;
    pinged(&mut ws).await;
    server.stopped_while(async {}).await;
    assert_eq!(ws.closed().await, Some(1008));
}

/// One polling client, each request on a connection of its own.
struct Polling {
    url: String,
    client: reqwest::Client,
}

impl Polling {
    async fn open(server: &ChildServer) -> Self {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0);
        let mut polling = Self {
            url: format!(
                "http://{}/socket.io/?EIO=4&transport=polling",
                server.address
            ),
            client: client.timeout(SOON).build().unwrap(),
        };
        let open = polling.poll().await;
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        polling.url = format!("{}&sid={}", polling.url, open["sid"].as_str().unwrap());
        let join = format!("40/feed,{}", json!({ "token": ALICE }));
        polling.post(&join).await;
        polling
    }

    async fn poll(&self) -> String {
        let polled = self.client.get(&self.url).send().await.unwrap();
        assert_eq!(polled.status(), 200);
        polled.text().await.unwrap()
    }

    async fn until(&self, wanted: impl Fn(&str) -> bool) {
        while !self.poll().await.split('\x1e').any(&wanted) {}
    }

    async fn post(&self, packets: &str) {
        let posted = self.client.post(&self.url).body(packets.to_owned());
        let posted = posted.send().await.unwrap();
        assert_eq!(posted.status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn polling_clients_whose_pong_has_come_stay() {
    let server = ChildServer::start();
    let clients = join_all((0..CLIENTS).map(|_| Polling::open(&server))).await;
    join_all(
        clients
            .iter()
            .map(|client| client.until(|packet| packet == "2")),
    )
    .await;
    let answered = join_all(clients.iter().map(|client| client.post("3")));
    let (_, ()) = tokio::join!(answered, server.stopped_while(async {}));
    join_all(clients.iter().map(async |client| {
        client
            .post("42/feed,7[\"history\",{\"account\":\"alice\"}]")
            .await;
        client
            .until(|packet| packet.starts_with("43/feed,7[{"))
            .await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn websocket_clients_whose_pong_has_come_stay() {
    let server = ChildServer::start();
    let live = || RawWebSocket::live(server.address);
    let mut clients = join_all((0..CLIENTS).map(|_| live())).await;
    let pinged = async |socket: &mut RawWebSocket| {
        while socket.frame().await.expect("a ping, not the end").opcode != PING {}
    };
    join_all(clients.iter_mut().map(pinged)).await;
    server
        .stopped_while(async {
            let answers = clients.iter_mut();
            join_all(answers.map(|socket| socket.send(masked(FIN | PONG, b"")))).await;
        })
        .await;
    join_all(clients.iter_mut().map(async |socket| {
        let answer = socket.ask(r#"{"type":"ping"}"#).await;
        assert_eq!(answer["ok"], true);
    }))
    .await;
    join_all(clients.iter_mut().map(pinged)).await;
}

/// Clients that have each got an answer, and have then sent the first part of another request.
async fn halfway(server: &ChildServer, first_part: &str) -> Vec<RawClient> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = RawClient(TcpStream::connect(server.address).await.unwrap());
        client.send(GET).await;
        client.answer().await;
        client.send(first_part).await;
        clients.push(client);
    }
    clients
}

/// Sends the rest of each request during a stop: all are answered with this status.
async fn answers(server: &ChildServer, mut clients: Vec<RawClient>, rest: &str, status: u16) {
    server
        .stopped_while(async {
            join_all(clients.iter_mut().map(|client| client.send(rest))).await;
        })
        .await;
    for client in &mut clients {
        assert_eq!(raw_http::status(&client.answer().await), Some(status));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_that_has_come_is_answered() {
    let server = ChildServer::start();
    let clients = halfway(&server, "").await;
    answers(&server, clients, std::str::from_utf8(GET).unwrap(), 404).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_head_that_has_come_is_answered() {
    let server = ChildServer::start();
    let clients = halfway(&server, "GET / HTTP/1.1\r\nHo").await;
    answers(&server, clients, "st: a\r\n\r\n", 404).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_body_that_has_come_is_answered() {
    let server = ChildServer::start();
    let head = format!(
        "POST /v1/tickets HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ALICE}\r\n\
         Content-Type: application/json\r\nContent-Length: 4\r\n\r\nn"
    );
    let clients = halfway(&server, &head).await;
    answers(&server, clients, "ull", 400).await;
}
