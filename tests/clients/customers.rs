//! The whole data set, on every customer's screen at once.

use std::{collections::BTreeMap, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    server::{BINARY, Server},
    stock::{SOON, node},
};

const PURCHASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_purchases.csv");
/// About a third of the purchases: the server dies in the middle.
const SEEN_BEFORE_THE_KILL: u64 = 2_000;

#[tokio::test]
async fn every_screen_equals_the_data_set_through_a_killed_server_and_a_second_replay() {
    let sums = sums_of_the_file();
    assert_eq!(sums.len(), 2_357);
    let mut server = Server::start().await;
    let mut customers = Customers::start(&server, &sums).await;

    let first = replay(&server).await;
    while customers.line().await["seen"].as_u64().unwrap() < SEEN_BEFORE_THE_KILL {}
    server.kill().await;
    server.restart().await;
    finished(first).await;
    assert_eq!(customers.totals().await, sums);

    finished(replay(&server).await).await;
    customers.ask().await;
    assert_eq!(customers.totals().await, sums);
}

/// Cents and purchases of one customer.
type Sum = (u64, u64);

fn sums_of_the_file() -> BTreeMap<String, Sum> {
    let mut sums = BTreeMap::<String, Sum>::new();
    for row in std::fs::read_to_string(PURCHASES).unwrap().lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let sum = sums.entry(fields[0].to_owned()).or_default();
        sum.0 += cents(fields[3]);
        sum.1 += 1;
    }
    sums
}

fn cents(amount: &str) -> u64 {
    amount.replace('.', "").parse().unwrap()
}

async fn replay(server: &Server) -> Child {
    let token = server
        .mint(&["--sub", "shop", "--scope", "record", "--accounts", "*"])
        .await;
    Command::new(BINARY)
        .args(["replay", PURCHASES, "--to", &server.url, "--token", &token])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn finished(mut replay: Child) {
    let status = timeout(SOON, replay.wait()).await;
    assert!(
        status
            .expect("the replay goes on by itself")
            .unwrap()
            .success()
    );
}

/// The program `js/customers.js`.
struct Customers {
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Customers {
    async fn start(server: &Server, sums: &BTreeMap<String, Sum>) -> Self {
        let token = server.mint(&["--sub", "audit", "--accounts", "*"]).await;
        let mut process = node("customers.js", "socket.io-client")
            .args([&server.url, &token])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut customers = Self {
            input: process.stdin.take().unwrap(),
            lines: BufReader::new(process.stdout.take().unwrap()).lines(),
            _process: process,
        };
        let expected: BTreeMap<_, _> = sums.iter().map(|(name, sum)| (name, sum.1)).collect();
        customers.say(&json!(expected).to_string()).await;
        customers
    }

    /// Asks for the totals as they are.
    async fn ask(&mut self) {
        self.say("totals").await;
    }

    async fn say(&mut self, line: &str) {
        self.input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    async fn line(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await;
        let line = line
            .expect("the screens get what is missing")
            .unwrap()
            .unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["fault"], Value::Null);
        line
    }

    /// What all screens show once each has its entries.
    async fn totals(&mut self) -> BTreeMap<String, Sum> {
        let line = loop {
            let line = self.line().await;
            if line["totals"].is_object() {
                break line;
            }
        };
        let totals = line["totals"].as_object().unwrap().iter();
        let sum = |totals: &Value| {
            assert_eq!(totals.as_array().unwrap().len(), 1);
            let all = &totals[0]["all"];
            (
                cents(all["amount"].as_str().unwrap()),
                all["count"].as_u64().unwrap(),
            )
        };
        totals
            .map(|(account, totals)| (account.clone(), sum(totals)))
            .collect()
    }
}
