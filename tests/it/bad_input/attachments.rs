use crate::support::{SOON, engineio_client::Ws, feed_hub::settings, host::Host, protocol_echo};

const ATTACHMENTS_MAX: usize = 8;

/// A hub whose host takes attachments, and echoes them. It closes nothing in the time of a test because of its age.
async fn echo() -> Host {
    let settings = protocol_echo::settings()
        .connect_timeout(2 * SOON)
        .heartbeat(2 * SOON, SOON);
    let hub = settings.build().await.unwrap();
    protocol_echo::register(hub.socket_io());
    Host::start(hub).await
}

async fn joined(host: &Host) -> Ws {
    let mut ws = host.ws().await;
    assert!(ws.join("40").await.starts_with("40{"));
    assert!(ws.packet().await.starts_with("42[\"auth\""));
    ws
}

#[tokio::test]
async fn attachments_are_announced_within_bounds_and_come_as_announced() {
    let host = echo().await;
    let most = format!("45{}-[\"message\"]", ATTACHMENTS_MAX + 1);
    for packets in [
        &[most.as_str()][..],
        &["45999999999999999999-[\"message\"]"],
        &["451000000000000000000-[\"message\"]"],
        &["45-1-[\"message\"]"],
        &["45+1-[\"message\"]"],
        &["451.5-[\"message\"]"],
        &["45x-[\"message\"]"],
        &["45-[\"message\"]"],
        // Text where an attachment is due.
        &[
            "451-[\"message\",{\"_placeholder\":true,\"num\":0}]",
            "42[\"message\"]",
        ],
        // An attachment where none is due.
        &["450-[\"message\"]", "b"],
        // The next packet begins before the last attachment.
        &["452-[\"message\"]", "b", "451-[\"message\"]"],
    ] {
        let mut ws = joined(&host).await;
        for packet in packets {
            // The previous packet may have closed the connection.
            let _cut = match *packet {
                "b" => futures_util::SinkExt::send(&mut ws.stream, vec![1, 2, 3].into()).await,
                text => futures_util::SinkExt::send(&mut ws.stream, text.to_owned().into()).await,
            };
        }
        assert_eq!(ws.closed().await, Some(1008), "{packets:?}");
    }
    host.until_empty().await;
}

/// Whatever stands for an attachment, the event of another client is answered.
#[tokio::test]
async fn a_placeholder_of_any_type_harms_nobody() {
    let host = echo().await;
    for placeholder in [
        r#"{"_placeholder":true,"num":-1}"#,
        r#"{"_placeholder":true,"num":1}"#,
        r#"{"_placeholder":true,"num":1e9}"#,
        r#"{"_placeholder":true,"num":1.5}"#,
        r#"{"_placeholder":true,"num":"0"}"#,
        r#"{"_placeholder":true,"num":"splice"}"#,
        r#"{"_placeholder":true,"num":{}}"#,
        r#"{"_placeholder":true,"num":[]}"#,
        r#"{"_placeholder":true,"num":null}"#,
        r#"{"_placeholder":true}"#,
        r#"{"_placeholder":"true","num":0}"#,
        r#"{"_placeholder":{},"num":0}"#,
        r#"{"_placeholder":false,"num":0}"#,
        r#"{"_placeholder":true,"_placeholder":true,"num":0,"num":0}"#,
    ] {
        let mut hostile = joined(&host).await;
        hostile
            .send(format!(r#"451-["message",{placeholder}]"#))
            .await;
        hostile.send_binary(&[1, 2, 3]).await;
        let mut other = joined(&host).await;
        other.send(r#"42["message",7]"#).await;
        assert_eq!(
            other.packet().await,
            r#"42["message-back",7]"#,
            "{placeholder}"
        );
    }
}

/// The feed takes no attachments, whatever they are.
#[tokio::test]
async fn the_feed_takes_no_attachments() {
    let host = Host::start(settings().build().await.unwrap()).await;
    for count in ["1", "2", "1000000"] {
        let mut ws = host.ws().await;
        ws.join(r#"40/feed,{"token":"alice/alice/3600000"}"#).await;
        ws.send(format!(
            r#"45{count}-/feed,1["subscribe",{{"_placeholder":true,"num":0}}]"#
        ))
        .await;
        assert_eq!(ws.closed().await, Some(1008), "{count}");
    }
}
