//! The common part of the peers in Rust. Each prints its ports, and sends messages when a line on its control port asks
//! for them. `control.mjs` does the same for the peers in JavaScript.

use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::generator::random_accounts::RandomAccounts;

/// The start of an account's name, before its number.
pub(crate) const PREFIX: &str = "a-";

/// A message to an account, the same from every peer.
#[derive(Serialize)]
pub(crate) struct Message {
    r#type: &'static str,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    pad: String,
}

impl Message {
    fn padded(mut self, bytes: usize) -> Self {
        let unpadded = serde_json::to_vec(&self).unwrap().len();
        self.pad = "x".repeat(bytes.saturating_sub(unpadded));
        self
    }
}

/// Makes messages: counts those of each account, and pads them to one length.
#[derive(Default)]
pub(crate) struct Messages {
    sent: Vec<u64>,
    payload_bytes: usize,
    /// The bytes around a message's JSON.
    overhead: usize,
}

impl Messages {
    pub(crate) fn with_overhead(overhead: usize) -> Self {
        Self {
            overhead,
            ..Self::default()
        }
    }

    pub(crate) fn set_size(&mut self, payload_bytes: usize) {
        self.payload_bytes = payload_bytes;
    }

    /// The first message to a watcher: its account's offset.
    pub(crate) fn live(&mut self, index: u32) -> Message {
        let offset = *self.sent(index);
        let message = Message {
            r#type: "live",
            account: account(index),
            offset: Some(offset),
            from: None,
            to: None,
            pad: String::new(),
        };
        message.padded(self.payload_bytes.saturating_sub(self.overhead))
    }

    pub(crate) fn update(&mut self, index: u32) -> Message {
        let sent = self.sent(index);
        *sent += 1;
        let number = Some(*sent);
        let message = Message {
            r#type: "update",
            account: account(index),
            offset: None,
            from: number,
            to: number,
            pad: String::new(),
        };
        message.padded(self.payload_bytes.saturating_sub(self.overhead))
    }

    fn sent(&mut self, index: u32) -> &mut u64 {
        let index = index as usize;
        if self.sent.len() <= index {
            self.sent.resize(index + 1, 0);
        }
        &mut self.sent[index]
    }
}

pub(crate) fn account(index: u32) -> String {
    format!("{PREFIX}{index}")
}

/// The number of an account.
pub(crate) fn index(account: &str) -> u32 {
    account.strip_prefix(PREFIX).unwrap().parse().unwrap()
}

/// A line on the control port.
pub(crate) enum Command {
    /// Sets the size of payloads, in bytes.
    Size(usize),
    /// Sends a message to each of these accounts.
    Push(Vec<u32>),
}

impl Command {
    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u32>().unwrap();
        match words[0] {
            "size" => Self::Size(number(1) as usize),
            "push" => Self::Push(vec![number(1)]),
            "unicast" => {
                let accounts = RandomAccounts::new(number(1), number(3));
                Self::Push(accounts.take(number(2) as usize).collect())
            }
            _ => panic!("no command: {line}"),
        }
    }
}

/// Runs the commands from the control port until the benchmark disconnects.
pub(crate) async fn run_commands(port: u16, mut act: impl AsyncFnMut(Command)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let control_port = listener.local_addr().unwrap().port();
    println!("ready {port} {control_port}");
    let (mut control, _) = listener.accept().await.unwrap();
    let (control, mut answer) = control.split();
    let mut lines = BufReader::new(control).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let command = Command::parse(&line);
        let is_answered = matches!(command, Command::Size(_));
        act(command).await;
        // A watcher uses another connection, and could arrive before the command.
        if is_answered {
            answer.write_all(b"ok\n").await.unwrap();
        }
    }
}
