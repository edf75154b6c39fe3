//! The lower bound: one `write(2)` of finished bytes per message, on a blocking socket. It has no protocol after the
//! handshake, keeps a list of sockets per account, reads nothing, and never waits.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::control::{Command, Message, Messages, index, run_commands};

const TEXT: u8 = 0x81;
const LENGTH_OF_16_BITS: u8 = 126;

#[derive(Default)]
struct Rooms {
    messages: Messages,
    streams: HashMap<u32, Vec<TcpStream>>,
}

pub(crate) async fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let rooms = Arc::new(Mutex::new(Rooms::default()));
    let joining = rooms.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            join(&joining, stream.unwrap());
        }
    });
    run_commands(port, async |command| match command {
        Command::Size(bytes) => rooms.lock().unwrap().messages.set_size(bytes),
        Command::Push(indices) => {
            let Rooms { messages, streams } = &mut *rooms.lock().unwrap();
            for index in indices {
                let frame = frame(&messages.update(index));
                for stream in &mut streams.entry(index).or_default().iter() {
                    write(stream, &frame);
                }
            }
        }
    })
    .await;
}

fn join(rooms: &Mutex<Rooms>, mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut some = [0; 1024];
        let read = stream.read(&mut some).unwrap();
        head.extend(&some[..read]);
    }
    // `GET /?account=a-0 HTTP/1.1`
    let head = String::from_utf8(head).unwrap();
    let account = head.split(['=', ' ']).nth(2).unwrap();
    let index = index(account);
    let rooms = &mut *rooms.lock().unwrap();
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        .unwrap();
    write(&stream, &frame(&rooms.messages.live(index)));
    rooms.streams.entry(index).or_default().push(stream);
}

/// Ignores errors: the watcher has disconnected.
fn write(mut stream: &TcpStream, frame: &[u8]) {
    drop(stream.write(frame));
}

fn frame(message: &Message) -> Vec<u8> {
    let json = serde_json::to_vec(message).unwrap();
    let length = u16::try_from(json.len()).unwrap().to_be_bytes();
    assert!(
        json.len() >= LENGTH_OF_16_BITS.into(),
        "every message has at least 126 bytes"
    );
    [&[TEXT, LENGTH_OF_16_BITS], length.as_slice(), &json].concat()
}
