//! The echo server that the published Socket.IO and Engine.IO protocol test suites run against, on a hub.
//!
//! The namespaces `/` and `/custom` echo what a client sends.
//!
//! ```sh
//! cargo run --example protocol_echo        # listens on 127.0.0.1:3000
//! ```

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::SerializeTuple,
};
use serde_json::Value;
use tallycast::{
    Authorize, Hub, HubBuilder, Memory,
    access::{Authorizing, Denied},
    socketioxide::{
        SocketIo,
        extract::{AckSender, Data, SocketRef},
    },
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = settings().build().await?;
    register(hub.socket_io());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, hub.router()).await?;
    Ok(())
}

/// The suites expect fast heartbeats and send binary packets.
pub(crate) fn settings() -> HubBuilder {
    Hub::builder(Memory::new(), DenyAll)
        .heartbeat(Duration::from_millis(300), Duration::from_millis(200))
        .connect_timeout(Duration::from_secs(1))
        .attachments_max(8)
}

/// Registers handlers that echo what the suites send.
pub(crate) fn register(io: &SocketIo) {
    io.ns("/", async |socket: SocketRef, auth: Data<Value>| {
        greet(&socket, &auth);
        socket.on(
            "message",
            async |socket: SocketRef, Data::<Arguments>(sent)| {
                if let Err(error) = socket.emit("message-back", &sent) {
                    eprintln!("an echo was not sent: {error}");
                }
            },
        );
        socket.on(
            "message-with-ack",
            async |ack: AckSender, Data::<Arguments>(sent)| {
                if let Err(error) = ack.send(&sent) {
                    eprintln!("an ack was not sent: {error}");
                }
            },
        );
    });
    io.ns("/custom", async |socket: SocketRef, auth: Data<Value>| {
        greet(&socket, &auth)
    });
}

fn greet(socket: &SocketRef, auth: &Value) {
    if let Err(error) = socket.emit("auth", auth) {
        eprintln!("a greeting was not sent: {error}");
    }
}

/// All arguments of an event, of any type, including binary ones.
struct Arguments(Vec<rmpv::Value>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArgumentsVisitor;
        impl<'de> Visitor<'de> for ArgumentsVisitor {
            type Value = Arguments;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the arguments of an event")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Arguments, A::Error> {
                let mut arguments = Vec::new();
                while let Some(argument) = seq.next_element()? {
                    arguments.push(argument);
                }
                Ok(Arguments(arguments))
            }
        }
        // The engine's parser reads a tuple as the list of arguments, and a sequence as one argument.
        deserializer.deserialize_tuple(1, ArgumentsVisitor)
    }
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for argument in &self.0 {
            tuple.serialize_element(argument)?;
        }
        tuple.end()
    }
}

/// Denies every token, since the suites do not use the feed.
struct DenyAll;

impl Authorize for DenyAll {
    fn authorize<'a>(&'a self, _: &'a str) -> Authorizing<'a> {
        Box::pin(async { Err(Denied::new("this server has no feed")) })
    }
}
