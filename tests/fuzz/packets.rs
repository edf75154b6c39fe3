use std::{net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use jiff::{SignedDuration, Timestamp};
use proptest::{collection::vec, prelude::any};
use tallycast::{
    Account, Event, Grant, Limits, Scope,
    access::{Accounts, Signer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Bytes, Message},
};

use crate::{
    fuzzer::Fuzzer,
    mutation::{Mutated, Mutation},
    server::{SECRET, Server},
};

const WORDS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "40",
    "41",
    "42",
    "43",
    "44",
    "45",
    "46",
    "51-",
    "999999999999-",
    "/feed",
    "/feed,",
    "/",
    "/?a=b,",
    "[",
    "]",
    "{",
    "}",
    "\"",
    ",",
    "\"subscribe\"",
    "\"history\"",
    "\"__proto__\"",
    "{\"account\":\"alice\"}",
    "{\"_placeholder\":true,\"num\":0}",
    "\\u0073",
    "\\\"",
    "\u{1e}",
    "b",
    "probe",
    "18446744073709551616",
    "-1",
    "\u{0}",
];

/// Data of another account, which no client here may see.
const CANARY: &str = "canary-5f2a";

/// The most packets of one sequence.
const PACKETS_MAX: usize = 12;

const IN_TIME: Duration = Duration::from_secs(10);

#[test]
fn no_sequence_of_packets_harms_the_server_or_shows_another_account() {
    let server = Server::start();
    let address = server.listen(server.hub.router(), Limits::default());
    let secret = Event::consumption("1", "victim", "1", "CNY").with_description(CANARY);
    server
        .runtime
        .block_on(server.hub.feed().append(secret))
        .unwrap();
    let fuzzer = Fuzzer::new("packets");
    let token = alice();
    let packet = Mutation::of(fuzzer.corpus().to_vec(), WORDS);
    let sequences = (any::<bool>(), any::<bool>(), vec(packet, 1..PACKETS_MAX));
    fuzzer.run(&sequences, |(joins, polls, packets)| {
        let join = joins.then(|| format!("40/feed,{{\"token\":\"{token}\"}}"));
        let seen = server.runtime.block_on(async {
            match polls {
                true => by_polling(address, join, packets).await,
                false => by_websocket(address, join, packets).await,
            }
        });
        assert!(!seen.contains(CANARY), "{seen}");
        Server::assert_sound();
    });
    server.runtime.block_on(async {
        let gone = async {
            while server.hub.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(Duration::from_secs(60), gone)
            .await
            .expect("no session is left");
    });
}

/// A token for alice only.
fn alice() -> String {
    let accounts = Accounts::only(Account::parse("alice").unwrap());
    let grant = Grant::new("alice", Scope::Watch, accounts);
    let grant = grant.expiring_at(Timestamp::now() + SignedDuration::from_hours(24));
    Signer::hs256(SECRET).unwrap().sign(&grant).unwrap()
}

/// Everything that the server sends until it closes or has answered the last packet.
async fn by_websocket(address: SocketAddr, join: Option<String>, packets: &[Mutated]) -> String {
    let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = connect_async(url).await.unwrap();
    let mut seen = String::new();
    let talk = async {
        let texts = join.into_iter().map(Message::text);
        let packets = packets
            .iter()
            .map(|packet| match std::str::from_utf8(packet) {
                Ok(text) => Message::text(text),
                Err(_) => Message::binary(Bytes::copy_from_slice(packet)),
            });
        for message in texts.chain(packets) {
            if socket.send(message).await.is_err() {
                break;
            }
        }
        // The server answers it after all packets before it have been read.
        if socket
            .send(Message::Ping(Bytes::from_static(b"end")))
            .await
            .is_err()
        {
            return;
        }
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Pong(_) | Message::Close(_) => break,
                other => seen.push_str(&String::from_utf8_lossy(&other.into_data())),
            }
        }
    };
    timeout(IN_TIME, talk).await.expect("an end in time");
    seen
}

/// The answers to a session's packets in one body, and to one poll after it.
async fn by_polling(address: SocketAddr, join: Option<String>, packets: &[Mutated]) -> String {
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = request(address, "GET", path, b"").await;
    let Some((_, rest)) = open.split_once("\"sid\":\"") else {
        panic!("{open}");
    };
    let path = format!("{path}&sid={}", rest.split('"').next().unwrap());
    let mut body = join.unwrap_or_default().into_bytes();
    for packet in packets {
        if !body.is_empty() {
            body.push(0x1e);
        }
        body.extend_from_slice(packet);
    }
    let posted = request(address, "POST", &path, &body).await;
    // A CONNECT is answered at once, so this poll does not wait.
    let closed = request(address, "POST", &path, b"1").await;
    let polled = request(address, "GET", &path, b"").await;
    posted + &closed + &polled
}

async fn request(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> String {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    let talk = async {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        // The server may refuse before it has read everything.
        let _: std::io::Result<()> = tcp.write_all(&[head.as_bytes(), body].concat()).await;
        let _: std::io::Result<usize> = tcp.read_to_end(&mut answer).await;
    };
    timeout(IN_TIME, talk).await.expect("an answer in time");
    String::from_utf8_lossy(&answer).into_owned()
}
