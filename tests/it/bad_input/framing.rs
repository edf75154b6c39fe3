//! Heads and bodies that no honest client frames so, sent to every route of the hub by raw sockets.

use crate::support::attacked_server::AttackedServer;

#[tokio::test]
async fn placeholder() {
    let server = AttackedServer::open().await;
    let mut attacker = server.connect().await;
    attacker.send("nonsense\r\n\r\n").await;
    assert!(attacker.rest().await.starts_with("HTTP/1.1 400 "));
    server.assert_unharmed().await;
}
