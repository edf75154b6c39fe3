//! Tests of the generator's checks. They are not in its folder, since the benchmark that includes that folder
//! runs no tests.

use std::rc::Rc;

use super::generator::{
    BenchError, WatchProtocol, frame,
    watcher::{BenchWatcher, Received},
};

const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

fn socket_io() -> WatchProtocol {
    WatchProtocol::feed_socket_io("token".to_owned())
}

/// A server's frame, with the length in as many bits as it needs.
fn framed(payload: &str) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![0x81];
    match length {
        0..126 => frame.push(u8::try_from(length).unwrap()),
        126..65_536 => {
            frame.push(126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload.as_bytes());
    frame
}

fn update(account: &str, from: u64, to: u64, pad: usize) -> String {
    let pad = "x".repeat(pad);
    format!(
        r#"42/feed,["update",{{"type":"update","account":"{account}","position":"p","from":{from},"to":{to},"pad":"{pad}"}}]"#
    )
}

/// Everything that a server sends to a watcher of `a-0`.
fn session(messages: &[String]) -> Vec<u8> {
    let opening = [
        r#"0{"sid":"s"}"#,
        r#"40/feed,{"sid":"t"}"#,
        r#"42/feed,["snapshot",{"type":"snapshot","account":"a-0"}]"#,
        r#"42/feed,["live",{"type":"live","account":"a-0","position":"p","offset":7}]"#,
    ];
    let messages = opening
        .into_iter()
        .chain(messages.iter().map(String::as_str));
    messages.fold(HEAD.to_vec(), |mut bytes, message| {
        bytes.extend(framed(message));
        bytes
    })
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    live: usize,
    entries: Vec<u64>,
    answer: Vec<u8>,
}

fn read(protocol: WatchProtocol, pieces: &[&[u8]]) -> Result<Seen, BenchError> {
    let mut watcher = BenchWatcher::new(Rc::new(protocol), "a-0".to_owned());
    let mut seen = Seen::default();
    for piece in pieces {
        let (live, entries) = (&mut seen.live, &mut seen.entries);
        watcher.read(piece, &mut seen.answer, &mut |received| match received {
            Received::Live => *live += 1,
            Received::Entries { count, .. } => entries.push(count),
        })?;
    }
    Ok(seen)
}

fn read_messages(messages: &[String]) -> Result<Seen, BenchError> {
    read(socket_io(), &[&session(messages)])
}

#[test]
fn messages_in_order_are_counted_by_entries() {
    let seen = read_messages(&[update("a-0", 8, 8, 0), update("a-0", 9, 12, 0)]).unwrap();
    assert_eq!((seen.live, seen.entries), (1, vec![1, 4]));
}

#[test]
fn the_first_message_must_follow_the_live_offset() {
    let lost = read_messages(&[update("a-0", 9, 9, 0)]);
    assert!(matches!(
        lost,
        Err(BenchError::Lost {
            expected: 8,
            got: 9,
            ..
        })
    ));
}

#[test]
fn a_lost_message_is_detected_at_the_next_one() {
    let lost = read_messages(&[update("a-0", 8, 8, 0), update("a-0", 10, 10, 0)]);
    assert!(matches!(
        lost,
        Err(BenchError::Lost {
            expected: 9,
            got: 10,
            ..
        })
    ));
}

#[test]
fn a_duplicate_message_is_detected() {
    let duplicate = read_messages(&[update("a-0", 8, 8, 0), update("a-0", 8, 8, 0)]);
    assert!(matches!(
        duplicate,
        Err(BenchError::Repeated {
            expected: 9,
            got: 8,
            ..
        })
    ));
}

#[test]
fn swapped_messages_are_detected() {
    let swapped = read_messages(&[update("a-0", 9, 9, 0), update("a-0", 8, 8, 0)]);
    assert!(matches!(
        swapped,
        Err(BenchError::Lost {
            expected: 8,
            got: 9,
            ..
        })
    ));
}

#[test]
fn a_message_to_another_account_is_detected() {
    let stray = read_messages(&[update("a-1", 8, 8, 0)]);
    assert!(matches!(stray, Err(BenchError::Stray { .. })));
}

#[test]
fn a_session_reads_the_same_in_any_two_pieces() {
    // Lengths of 7, 16 and 64 bits.
    let messages = [
        update("a-0", 8, 8, 0),
        update("a-0", 9, 9, 400),
        update("a-0", 10, 11, 70_000),
        "2".to_owned(),
    ];
    let bytes = session(&messages);
    let whole = read(socket_io(), &[&bytes]).unwrap();
    assert_eq!(whole.entries, [1, 1, 2]);
    // Every split except those within the long padding, which are all alike.
    let splits = (1..2_000).chain(bytes.len() - 2_000..bytes.len());
    for split in splits {
        let (first, second) = bytes.split_at(split);
        let pieces = read(socket_io(), &[first, second]).unwrap();
        assert_eq!(pieces, whole, "split at {split}");
    }
}

#[test]
fn pings_are_answered_and_the_namespace_is_joined() {
    let mut bytes = session(&["2".to_owned()]);
    bytes.extend([0x89, 1, b'!']);
    let seen = read(socket_io(), &[&bytes]).unwrap();
    let mut answer = Vec::new();
    WatchProtocol::write_connect(&mut answer, "/feed,", "token", "a-0");
    frame::write(&mut answer, frame::TEXT, b"3");
    frame::write(&mut answer, frame::PONG, b"!");
    assert_eq!(seen.answer, answer);
}

#[test]
fn a_refusal_contains_its_reason() {
    let refused = read(
        WatchProtocol::feed_web_socket(String::new()),
        &[b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"],
    );
    assert!(matches!(refused, Err(BenchError::Refused(why)) if why.contains("401")));
    let mut bytes = HEAD.to_vec();
    bytes.extend(framed(r#"44/feed,{"message":"not_found"}"#));
    let refused = read(socket_io(), &[&bytes]);
    assert!(matches!(refused, Err(BenchError::Refused(why)) if why.contains("not_found")));
}

#[test]
fn events_read_the_same_byte_by_byte_however_they_are_chunked() {
    let events = "retry: 1000\nevent: live\ndata: {\"type\":\"live\",\"offset\":0}\n\n:\n\n\
        event: update\ndata: {\"type\":\"update\",\"account\":\"a-0\",\"from\":1,\"to\":2}\nid: p\n\n";
    for split in 1..events.len() {
        let mut bytes = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let (first, second) = events.split_at(split);
        for chunk in [first, second] {
            bytes.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
        }
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        let seen = read(WatchProtocol::feed_sse(String::new()), &pieces).unwrap();
        assert_eq!((seen.live, seen.entries), (1, vec![2]), "split at {split}");
    }
}
