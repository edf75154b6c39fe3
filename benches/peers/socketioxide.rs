//! socketioxide, on which Tallycast's Socket.IO is built, with axum's own accept loop.

use std::sync::{Arc, Mutex};

use axum::serve::ListenerExt;
use serde::Deserialize;
use socketioxide::{
    SocketIo,
    extract::{Data, SocketRef},
};
use tokio::net::TcpListener;

use crate::control::{Command, Messages, account, index, run_commands};

const OVERHEAD: usize = r#"42["update",]"#.len();

#[derive(Deserialize)]
struct Auth {
    account: String,
}

pub(crate) async fn serve() {
    let messages = Arc::new(Mutex::new(Messages::with_overhead(OVERHEAD)));
    let (layer, io) = SocketIo::new_layer();
    let joining = messages.clone();
    io.ns(
        "/",
        async move |socket: SocketRef, Data(auth): Data<Auth>| {
            let live = joining.lock().unwrap().live(index(&auth.account));
            socket.join(auth.account);
            socket.emit("live", &live).unwrap();
        },
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    let app = axum::Router::new().layer(layer);
    tokio::spawn(async { axum::serve(listener, app).await });
    run_commands(port, async |command| match command {
        Command::Size(bytes) => messages.lock().unwrap().set_size(bytes),
        Command::Push(indices) => {
            for index in indices {
                let update = messages.lock().unwrap().update(index);
                let room = io.to(account(index));
                room.emit("update", &update).await.unwrap();
            }
        }
    })
    .await;
}
