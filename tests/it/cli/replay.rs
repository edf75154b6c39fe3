//! `tallycast replay` with the real binary: the ledger ends up with exactly what the file has.

use std::{collections::BTreeMap, fs, io::Write, path::PathBuf, process::Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use crate::support::{
    SOON,
    binary::{ServedBinary, Workdir, signal},
};

/// The purchases included in the package.
fn purchases() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/data/cdnow_purchases.csv").into()
}

/// One customer's sum in the file, computed independently.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    cents: u64,
    purchases: u64,
}

fn sums_of_the_file() -> BTreeMap<String, Sum> {
    let mut sums = BTreeMap::<String, Sum>::new();
    for line in fs::read_to_string(purchases()).unwrap().lines().skip(1) {
        let [customer, _, _, dollars] = line.split(',').collect::<Vec<_>>()[..] else {
            panic!("four columns: {line}");
        };
        let sum = sums.entry(customer.to_owned()).or_default();
        sum.cents += dollars.replace('.', "").parse::<u64>().unwrap();
        sum.purchases += 1;
    }
    sums
}

/// A folder, a server on a ledger in it that can be killed and started again, and tokens for it.
struct Shop {
    workdir: Workdir,
    served: ServedBinary,
    client: reqwest::Client,
    watcher: String,
    producer: String,
}

impl Shop {
    async fn open() -> Self {
        let workdir = Workdir::new();
        let token = async |scope| workdir.token(&["--scope", scope, "--accounts", "*"]).await;
        Self {
            served: workdir.serve(&[]).await,
            client: reqwest::Client::new(),
            watcher: token("watch").await,
            producer: token("record").await,
            workdir,
        }
    }

    /// Kills the server as a power cut would, and restarts it at the same address.
    async fn kill_and_start_again(&mut self) {
        let address = self.served.address().to_owned();
        self.served.signal(Signal::KILL);
        self.served.process.wait().await.unwrap();
        self.served = ServedBinary::start(&self.workdir, &[&address], &[]).await;
    }

    async fn feed(&self, account: &str, query: &str) -> Value {
        let request = self
            .client
            .get(format!("{}/v1/feeds/{account}{query}", self.served.public))
            .bearer_auth(&self.watcher)
            .timeout(SOON * 3);
        let response = request.send().await.unwrap();
        response.error_for_status().unwrap().json().await.unwrap()
    }

    /// Waits until an account has an entry.
    async fn first_entry(&self, account: &str) {
        let empty = self.feed(account, "").await;
        if empty["offset"] == 0 {
            let position = empty["position"].as_str().unwrap();
            let query = format!("?after={position}&wait=25");
            assert_eq!(self.feed(account, &query).await["type"], "update");
        }
    }

    /// Every customer's totals, as the server reports them.
    async fn sums(&self, customers: impl Iterator<Item = &String>) -> BTreeMap<String, Sum> {
        let mut sums = BTreeMap::new();
        for customer in customers {
            let snapshot = self.feed(customer, "?recent=0").await;
            assert_eq!(snapshot["totals"].as_array().unwrap().len(), 1);
            let all = &snapshot["totals"][0]["all"];
            let cents = all["amount"].as_str().unwrap().replace('.', "");
            let sum = Sum {
                cents: cents.parse().unwrap(),
                purchases: all["count"].as_u64().unwrap(),
            };
            assert_eq!(snapshot["offset"], sum.purchases, "one entry a purchase");
            sums.insert(customer.clone(), sum);
        }
        sums
    }

    fn write(&self, name: &str, rows: &str) -> PathBuf {
        self.workdir.write(name, rows)
    }

    fn replay(&self, file: impl Into<PathBuf>, more: &[&str]) -> Command {
        let mut command = self.workdir.command(["replay"]);
        command
            .arg(file.into())
            .args(["--to", &self.served.public, "--token", &self.producer])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The last line of a replay, which must succeed.
    async fn summary(&self, file: impl Into<PathBuf>, more: &[&str]) -> String {
        let (code, text, errors) = ended(self.replay(file, more).spawn().unwrap()).await;
        assert_eq!(code, Some(0), "{text}{errors}");
        text.lines().last().unwrap().to_owned()
    }

    /// The output and errors of a replay, which must fail.
    async fn failure(
        &self,
        file: impl Into<PathBuf>,
        more: &[&str],
    ) -> (Option<i32>, String, String) {
        ended(self.replay(file, more).spawn().unwrap()).await
    }
}

/// Exit code, stdout, stderr.
async fn ended(process: Child) -> (Option<i32>, String, String) {
    let output = process.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test]
async fn every_customer_of_the_replayed_file_has_the_sum_of_the_file_to_the_cent() {
    let shop = Shop::open().await;
    let expected = sums_of_the_file();
    assert_eq!(expected.len(), 2_357);
    let cents = expected.values().map(|sum| sum.cents).sum::<u64>();
    assert_eq!(cents, 24_643_853);

    let first = shop.summary(purchases(), &[]).await;
    assert_eq!(first, "recorded 6856, duplicate 0, conflict 0, rejected 0");
    assert_eq!(shop.sums(expected.keys()).await, expected);

    let again = shop.summary(purchases(), &[]).await;
    assert_eq!(again, "recorded 0, duplicate 6856, conflict 0, rejected 0");
    assert_eq!(shop.sums(expected.keys()).await, expected);
}

#[tokio::test]
async fn a_replay_survives_kill_9_of_the_server_and_nothing_is_lost_or_doubled() {
    let mut shop = Shop::open().await;
    let expected = sums_of_the_file();
    let mut replay = shop
        .replay(purchases(), &["--speed", "4000/s"])
        .spawn()
        .unwrap();
    // Customers of the first row, and of one in the middle of the file.
    for customer in ["00004", "15674"] {
        shop.first_entry(customer).await;
        shop.kill_and_start_again().await;
        assert!(replay.try_wait().unwrap().is_none(), "it goes on by itself");
    }
    let (code, text, errors) = ended(replay).await;
    assert_eq!(code, Some(0), "{text}{errors}");
    let mut counts = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|word| word.parse().ok());
    let mut count = || -> u64 { counts.next().unwrap() };
    assert_eq!(count() + count(), 6_856, "recorded and duplicate: {text}");
    assert_eq!(count() + count(), 0, "conflict and rejected: {text}");
    assert_eq!(shop.sums(expected.keys()).await, expected);
}

#[tokio::test]
async fn a_part_of_a_file_and_then_more_of_it_is_the_file() {
    let shop = Shop::open().await;
    let text = fs::read_to_string(purchases()).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let file = shop.write("sales.csv", &lines[..1_001].concat());
    let part = shop.summary(&file, &[]).await;
    assert_eq!(part, "recorded 1000, duplicate 0, conflict 0, rejected 0");
    shop.write("sales.csv", &lines[..2_001].concat());
    let more = shop.summary(&file, &[]).await;
    assert_eq!(
        more,
        "recorded 1000, duplicate 1000, conflict 0, rejected 0"
    );
}

#[tokio::test]
async fn purchases_as_of_now_have_the_time_of_arrival_and_repeat_harmlessly() {
    let shop = Shop::open().await;
    let rows =
        "customer_id,date,dollars,what\neve,1997-01-01,2.50,books\neve,1997-01-02,3.50,music\n";
    let file = shop.write("sales.csv", rows);
    let options = [
        "--times",
        "now",
        "--category-column",
        "what",
        "--unit",
        "CNY",
    ];
    for expected in ["recorded 2, duplicate 0", "recorded 0, duplicate 2"] {
        let summary = shop.summary(&file, &options).await;
        assert!(summary.starts_with(expected), "{summary}");
    }
    let snapshot = shop.feed("eve", "").await;
    let totals = &snapshot["totals"][0];
    assert_eq!(
        (&totals["unit"], &totals["all"]["amount"]),
        (&"CNY".into(), &"6.00".into())
    );
    let entry = &snapshot["recent"][0];
    assert_eq!(entry["time"], entry["recorded_at"]);
    assert_eq!(entry["category"], "books");
}

#[tokio::test]
async fn refused_rows_are_told_and_fail_the_command() {
    let shop = Shop::open().await;
    let header = "customer_id,date,dollars\n";
    let file = shop.write("sales.csv", &format!("{header}eve,1997-01-01,2.50\n"));
    shop.summary(&file, &[]).await;

    shop.write(
        "sales.csv",
        &format!("{header}eve,1997-01-01,9.99\nbob,1997-01-01,1\n"),
    );
    let (code, text, errors) = shop.failure(&file, &[]).await;
    assert_eq!(code, Some(1));
    assert!(text.starts_with("row 1 (line 2): conflict: "), "{text}");
    assert!(
        text.ends_with("recorded 1, duplicate 0, conflict 1, rejected 0\n"),
        "{text}"
    );
    assert!(errors.contains("1 of 2 rows were not recorded"), "{errors}");

    let (code, text, _) = shop
        .failure(&file, &["--unit", "no unit", "--source", "other"])
        .await;
    assert_eq!(code, Some(1));
    assert!(text.contains("row 2 (line 3): invalid_unit: "), "{text}");
}

#[tokio::test]
async fn a_mistake_in_the_file_keeps_all_of_it_back() {
    let shop = Shop::open().await;
    let rows = "customer_id,date,dollars\neve,1997-01-01,2.50\neve,1997-01-02,2,50\n";
    let file = shop.write("sales.csv", rows);
    let (code, text, errors) = shop.failure(&file, &[]).await;
    assert_eq!((code, text.as_str()), (Some(2), ""));
    assert!(
        errors.contains("sales.csv, row 2 (line 3): it has 4 cells"),
        "{errors}"
    );
    assert_eq!(shop.feed("eve", "").await["offset"], 0);
}

#[tokio::test]
async fn a_quote_in_the_wrong_place_keeps_all_of_the_file_back() {
    let shop = Shop::open().await;
    let good = |count| "eve,1997-01-01,1,books\n".repeat(count);
    for (row, place) in [
        ("eve,1997-01-02,2,\"begins", "line 3, column 18: the quote"),
        ("eve,1997-01-02,2,be\"gins", "line 3, column 20: a quote"),
        ("eve,1997-01-02,2, \"begins\"", "line 3, column 19: a quote"),
        ("eve,1997-01-02,2,\"begins\" ", "line 3, column 26: only"),
        ("eve,1997-01-02,2,\"be\"gins\"", "line 3, column 22: only"),
        ("eve,1997-01-02,\"2,books", "line 3, column 16: the quote"),
    ] {
        let rows = format!(
            "customer_id,date,dollars,what\n{}{row}\n{}",
            good(1),
            good(20)
        );
        let file = shop.write("sales.csv", &rows);
        let (code, text, errors) = shop.failure(&file, &[]).await;
        assert_eq!((code, text.as_str()), (Some(2), ""), "{row}");
        let place = format!("sales.csv, {place}");
        assert!(errors.contains(&place), "{errors} is not at {place}");
        assert_eq!(shop.feed("eve", "").await["offset"], 0, "{row}");
    }
    let rows = "customer_id,date,dollars,what\neve,1997-01-02,\"2\",\"be\"\"gins,\nthere\"\n";
    let file = shop.write("sales.csv", rows);
    shop.summary(&file, &["--category-column", "what"]).await;
    let entry = &shop.feed("eve", "").await["recent"][0];
    assert_eq!(entry["category"], "be\"gins,\nthere");
}

#[tokio::test]
async fn a_pipe_is_checked_whole_before_anything_is_sent() {
    let shop = Shop::open().await;
    let rows = "customer_id,date,dollars\neve,1997-01-01,2.50\neve,1997-01-02,3.50\n";
    let piped = async |name: &str, rows: &str| {
        let mut replay = shop
            .replay(name, &[])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = replay.stdin.take().unwrap();
        stdin.write_all(rows.as_bytes()).await.unwrap();
        drop(stdin);
        ended(replay).await
    };
    for name in ["-", "/dev/stdin"] {
        let (code, text, errors) = piped(name, &format!("{rows}eve,1997-01-03,\"1\n")).await;
        assert_eq!((code, text.as_str()), (Some(2), ""));
        assert!(errors.contains("stdin, line 4, column 16: "), "{errors}");
        assert_eq!(shop.feed("eve", "").await["offset"], 0);
    }
    for (name, expected) in [
        ("-", "recorded 2, duplicate 0"),
        ("/dev/stdin", "recorded 0, duplicate 2"),
    ] {
        let (code, text, errors) = piped(name, rows).await;
        assert_eq!(code, Some(0), "{text}{errors}");
        assert!(text.starts_with(expected), "{text}");
    }
    let entry = &shop.feed("eve", "").await["recent"][0];
    assert_eq!(
        (&entry["id"], &entry["source"]),
        (&"stdin:1".into(), &"stdin".into())
    );
}

#[tokio::test]
async fn a_file_that_shrinks_under_a_replay_is_told() {
    let shop = Shop::open().await;
    let text = fs::read_to_string(purchases()).unwrap();
    let file = shop.write("sales.csv", &text);
    let replay = shop.replay(&file, &["--speed", "2000/s"]).spawn().unwrap();
    shop.first_entry("00004").await;
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    shop.write("sales.csv", &lines[..2_001].concat());
    let (code, text, errors) = ended(replay).await;
    assert_eq!(code, Some(1), "{text}{errors}");
    assert!(
        errors.contains("sales.csv has changed since it was checked"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_row_that_arrives_after_the_check_is_for_the_next_replay() {
    let shop = Shop::open().await;
    let text = fs::read_to_string(purchases()).unwrap();
    let file = shop.write("sales.csv", &text);
    let replay = shop.replay(&file, &["--speed", "2000/s"]).spawn().unwrap();
    shop.first_entry("00004").await;
    let mut growing = fs::File::options().append(true).open(&file).unwrap();
    growing.write_all(b"00004,1998-07-01,1,\"1.00").unwrap();
    let (code, text, errors) = ended(replay).await;
    assert_eq!(code, Some(0), "{text}{errors}");
    assert_eq!(text, "recorded 6856, duplicate 0, conflict 0, rejected 0\n");
}

#[tokio::test]
async fn a_line_without_an_end_is_left() {
    let shop = Shop::open().await;
    for start in [
        "",
        "customer_id,date,dollars\n",
        "customer_id,date,dollars\neve,1997-01-01,1,\"",
    ] {
        let line = start.lines().count().max(1) + usize::from(start.ends_with('\n'));
        let file = shop.write(
            "sales.csv",
            &(start.to_owned() + &"x".repeat(32 * 1024 * 1024)),
        );
        let (code, text, errors) = shop.failure(&file, &[]).await;
        assert_eq!((code, text.as_str()), (Some(2), ""));
        let place = format!(
            "sales.csv, line {line}, column 1: the row that begins here is longer than 1 MiB"
        );
        assert!(errors.contains(&place), "{errors} is not at {place}");
    }
}

#[tokio::test]
async fn a_replay_without_a_right_says_so() {
    let shop = Shop::open().await;
    let (code, _, errors) = shop.failure(purchases(), &["--token", "nonsense"]).await;
    assert_eq!(code, Some(2), "given twice: {errors}");
    let mut command = shop
        .workdir
        .command(["replay", "--to", &shop.served.public]);
    let nothing = command.arg(purchases()).output().await.unwrap();
    let errors = String::from_utf8(nothing.stderr).unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(errors.contains("no token: pass --token"), "{errors}");
    let bad = command
        .env("TALLYCAST_TOKEN", "nonsense")
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8(bad.stderr).unwrap();
    assert_eq!(bad.status.code(), Some(1));
    assert!(errors.contains("unauthorized"), "{errors}");
    let file = shop.write("watcher.txt", &shop.watcher);
    let mut command = shop
        .workdir
        .command(["replay", "--to", &shop.served.public]);
    command.arg(purchases()).arg("--token-file").arg(file);
    command.env("TALLYCAST_TOKEN", "a flag wins over it");
    let watching = command.output().await.unwrap();
    let errors = String::from_utf8(watching.stderr).unwrap();
    assert_eq!(watching.status.code(), Some(1));
    assert!(errors.contains("404 Not Found, not_found"), "{errors}");
}

#[tokio::test]
async fn a_replay_gives_up_on_a_server_that_stays_away() {
    let mut shop = Shop::open().await;
    shop.served.signal(Signal::KILL);
    shop.served.process.wait().await.unwrap();
    let (code, _, errors) = shop.failure(purchases(), &["--retry-for", "0"]).await;
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("did not take the events for 0 s"),
        "{errors}"
    );
    assert!(errors.contains("Connection refused"), "{errors}");
}

#[tokio::test]
async fn an_interrupted_replay_says_how_far_it_came() {
    let shop = Shop::open().await;
    let replay = shop
        .replay(purchases(), &["--speed", "1000/s"])
        .spawn()
        .unwrap();
    shop.first_entry("00004").await;
    signal(&replay, Signal::INT);
    let (code, text, errors) = ended(replay).await;
    assert_eq!(code, Some(1));
    assert!(text.starts_with("recorded "), "{text}");
    assert!(
        text.ends_with(", duplicate 0, conflict 0, rejected 0\n"),
        "{text}"
    );
    assert!(errors.contains("interrupted"), "{errors}");
}
