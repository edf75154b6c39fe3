//! `tallycast export` with the real binary: the output is exactly the ledger's history, or the command fails.

use std::{
    fs::{self, File},
    process::Stdio,
};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpSocket,
    process::Command,
};

use crate::support::{
    binary::{ServedBinary, Workdir, refusal_of, signal},
    scripted_server::{ScriptedServer, page, refused},
};

const HEADER: &str = "offset,id,source,kind,amount,unit,meter,category,description,time,recorded_at,total,\
    reverses_source,reverses_id,budget,window,window_start,threshold,spent,limit,attributes\r\n";

/// More entries than a pipe and its reader hold.
const MANY: usize = 2_000;

/// A folder, a server on a ledger in it, and a token for alice.
struct Shop {
    workdir: Workdir,
    served: ServedBinary,
    token: String,
}

impl Shop {
    async fn open() -> Self {
        let workdir = Workdir::new();
        Self {
            served: workdir.serve(&[]).await,
            token: workdir.token(&["--scope", "watch record"]).await,
            workdir,
        }
    }

    async fn record(&self, events: &[Value]) {
        for events in events.chunks(1_000) {
            let request = reqwest::Client::new()
                .post(format!("{}/v1/events", self.served.public))
                .bearer_auth(&self.token)
                .json(events);
            let results: Value = request.send().await.unwrap().json().await.unwrap();
            let results = results["results"].as_array().unwrap();
            assert!(results.iter().all(|one| one["status"] == "recorded"));
        }
    }

    /// Alice's entries as the server sends them.
    async fn entries(&self) -> Vec<Box<RawValue>> {
        #[derive(serde::Deserialize)]
        struct Page {
            entries: Vec<Box<RawValue>>,
        }
        let url = format!("{}/v1/feeds/alice/entries?after=0", self.served.public);
        let request = reqwest::Client::new().get(url).bearer_auth(&self.token);
        let page: Page = request.send().await.unwrap().json().await.unwrap();
        page.entries
    }

    fn export(&self, more: &[&str]) -> Command {
        let args = [
            "export",
            "alice",
            "--url",
            &self.served.public,
            "--token",
            &self.token,
        ];
        let mut command = self.workdir.command([&args, more].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What a successful export prints.
    async fn exported(&self, more: &[&str]) -> String {
        let output = self.export(more).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stderr, b"");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Purchases of alice, with the ids 1, 2, 3 …
fn purchases(count: usize) -> Vec<Value> {
    let purchase = |id: usize| {
        json!({ "id": id.to_string(), "account": "alice", "amount": "0.10", "unit": "CNY",
            "description": "A line that says what was bought" })
    };
    (1..=count).map(purchase).collect()
}

/// Events whose texts break a careless CSV or NDJSON writer.
fn awkward_events() -> Vec<Value> {
    let at = "2020-02-29T23:59:59.5+08:00";
    vec![
        json!({ "id": "1", "source": "shop", "account": "alice", "amount": "12.50", "unit": "CNY",
            "category": "food, drink", "description": "He said \"noodles\"", "time": at,
            "attributes": { "store": "12", "note": "a,\"b\"" } }),
        json!({ "id": "2", "source": "shop", "account": "alice", "amount": "123456789012345.123456789",
            "unit": "kWh", "meter": "power", "description": "two\r\nlines 🍜", "time": at }),
        json!({ "id": "3", "source": "shop", "account": "alice", "kind": "reversal", "reverses": "1",
            "time": at }),
        json!({ "id": "=4", "source": "desk", "account": "alice", "kind": "reversal",
            "reverses": { "source": "shop", "id": "2" }, "time": at }),
    ]
}

#[tokio::test]
async fn lines_are_the_entries_byte_for_byte() {
    let shop = Shop::open().await;
    shop.record(&awkward_events()).await;
    let entries = shop.entries().await;
    assert_eq!(entries.len(), 4);
    let expected: String = entries.iter().map(|e| format!("{}\n", e.get())).collect();
    assert_eq!(shop.exported(&[]).await, expected);
    assert!(expected.contains("🍜") && expected.contains("123456789012345.123456789"));
}

/// The cells of a table, without the header.
fn cells(table: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

#[tokio::test]
async fn a_table_has_no_formulas_unless_raw() {
    let texts = [
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(1,1)",
        "\tx",
        "\rx",
        "'=1",
        "-1.50",
        "plain",
    ];
    let with = |(index, text): (usize, &str)| {
        json!({ "offset": index + 1, "id": text, "source": text, "kind": "adjustment", "amount": "-1.50",
            "unit": text, "meter": text, "category": text, "description": text, "total": "-3.00",
            "attributes": { "=1": "=1" } })
    };
    let entries: Vec<_> = texts.into_iter().enumerate().map(with).collect();
    let pages = || [page("one", entries.clone(), None)];
    let table = async |more: &[&str]| {
        let script = ScriptedServer::of(pages()).await;
        let words = [&["--format", "csv"], more].concat();
        let output = exported_from(&script, &Workdir::new(), &words).await;
        assert!(output.status.success(), "{output:?}");
        cells(&String::from_utf8(output.stdout).unwrap())
    };
    let (neutral, raw) = (table(&[]).await, table(&["--raw"]).await);
    for (neutral, raw) in neutral.iter().flatten().zip(raw.iter().flatten()) {
        let is_number = ["-1.50", "-3.00"].contains(&raw.as_str());
        let is_formula = raw
            .trim_start_matches('\'')
            .starts_with(['=', '+', '-', '@', '\t', '\r']);
        let prefix = if is_formula && !is_number { "'" } else { "" };
        assert_eq!(*neutral, format!("{prefix}{raw}"));
    }
    for (row, text) in raw.iter().zip(texts) {
        assert_eq!(
            (&row[1], &row[4], &row[8]),
            (&text.into(), &"-1.50".into(), &text.into())
        );
    }
}

#[tokio::test]
async fn a_raw_table_is_replayed_as_it_was_recorded() {
    let shop = Shop::open().await;
    let everything = ["--scope", "watch record", "--accounts", "*"];
    let token = shop.workdir.token(&everything).await;
    let event = json!({ "id": "=1", "source": "bob", "account": "alice", "amount": "1.50", "unit": "CNY",
        "category": "=food, \"hot\"", "description": "two\r\nlines", "time": "2024-01-31T09:30:00+08:00" });
    shop.record(&[event]).await;
    for (raw, category) in [
        (&["--raw"] as &[&str], "=food, \"hot\""),
        (&[], "'=food, \"hot\""),
    ] {
        let table = shop.exported(&[&["--format", "csv"], raw].concat()).await;
        let name = format!("table{}.csv", raw.len());
        shop.workdir.write(&name, &table);
        let columns = ["--account-column", "source", "--time-column", "time"];
        let more = [
            "--amount-column",
            "amount",
            "--category-column",
            "category",
            "--unit",
            "CNY",
        ];
        let words = [
            "replay",
            &name,
            "--to",
            &shop.served.public,
            "--token",
            &token,
        ];
        let said = shop
            .workdir
            .prints(&[words.as_slice(), &columns, &more].concat())
            .await;
        assert!(said.starts_with("recorded 1,"), "{said}");
        let lines = [
            "export",
            "bob",
            "--url",
            &shop.served.public,
            "--token",
            &token,
        ];
        let lines = shop.workdir.prints(&lines).await;
        let entry: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&entry["category"], &entry["amount"]),
            (&category.into(), &"1.50".into())
        );
        assert_eq!(entry["time"], "2024-01-31T01:30:00Z");
    }
}

#[tokio::test]
async fn a_table_quotes_what_it_must_and_changes_no_value() {
    let shop = Shop::open().await;
    shop.record(&awkward_events()).await;
    let entries = shop.entries().await;
    let arrival = |index: usize| {
        let entry: Value = serde_json::from_str(entries[index].get()).unwrap();
        entry["recorded_at"].as_str().unwrap().to_owned()
    };
    let at = "2020-02-29T23:59:59.5+08:00";
    let first = format!(
        "1,1,shop,consumption,12.50,CNY,spend,\"food, drink\",\"He said \"\"noodles\"\"\",{at},{},12.50,\
         ,,,,,,,,\"{{\"\"note\"\":\"\"a,\\\"\"b\\\"\"\"\",\"\"store\"\":\"\"12\"\"}}\"\r\n",
        arrival(0)
    );
    let second = format!(
        "2,2,shop,consumption,123456789012345.123456789,kWh,power,,\"two\r\nlines 🍜\",{at},{},\
         123456789012345.123456789,,,,,,,,,\r\n",
        arrival(1)
    );
    let third = format!(
        "3,3,shop,reversal,-12.50,CNY,spend,\"food, drink\",,{at},{},0.00,shop,1,,,,,,,\r\n",
        arrival(2)
    );
    let fourth = format!(
        "4,'=4,desk,reversal,-123456789012345.123456789,kWh,power,,,{at},{},0.000000000,shop,2,,,,,,,\r\n",
        arrival(3)
    );
    let expected = [HEADER, &first, &second, &third, &fourth].concat();
    assert_eq!(shop.exported(&["--format", "csv"]).await, expected);
    let raw = expected.replace("4,'=4", "4,=4");
    assert_eq!(shop.exported(&["--format", "csv", "--raw"]).await, raw);
}

#[tokio::test]
async fn an_alert_fills_its_columns_as_it_is_written() {
    let alert = json!({ "offset": 1, "id": "b1/80", "source": "tallycast", "kind": "alert", "budget": "b1",
        "window": "month", "window_start": "2026-11-01", "threshold": 80, "spent": "80.00", "limit": "100.0" });
    let script = ScriptedServer::of([page("one", [alert], None)]).await;
    let output = exported_from(&script, &Workdir::new(), &["--format", "csv"]).await;
    let row = "1,b1/80,tallycast,alert,,,,,,,,,,,b1,month,2026-11-01,80,80.00,100.0,\r\n";
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        [HEADER, row].concat()
    );
}

#[tokio::test]
async fn an_account_without_entries_is_an_empty_export() {
    let shop = Shop::open().await;
    assert_eq!(shop.exported(&[]).await, "");
    assert_eq!(shop.exported(&["--format", "csv"]).await, HEADER);
}

#[tokio::test]
async fn every_page_is_exported_once_and_in_order() {
    let shop = Shop::open().await;
    shop.record(&purchases(450)).await;
    let expected: Vec<_> = (1..=450).map(|id: usize| id.to_string()).collect();
    assert_eq!(ids(&shop.exported(&[]).await), expected);
    let table = shop.exported(&["--format", "csv"]).await;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert!(rows.iter().all(|row| row[0] == row[1]));
    let ids: Vec<_> = rows.iter().map(|row| row[1].to_owned()).collect();
    assert_eq!(ids, expected);
}

/// The ids of exported lines, whose offsets are in order.
fn ids(lines: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for line in lines.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        ids.push(entry["id"].as_str().unwrap().to_owned());
        assert_eq!(entry["offset"], ids.len());
    }
    ids
}

#[tokio::test]
async fn an_export_goes_on_after_a_restart_of_the_server() {
    let mut shop = Shop::open().await;
    shop.record(&purchases(MANY)).await;
    let mut export = shop.export(&[]).spawn().unwrap();
    let mut lines = BufReader::new(export.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(export.stderr.take().unwrap()).lines();
    // With one line read, the export waits for its reader in the middle.
    let mut text = lines.next_line().await.unwrap().unwrap() + "\n";
    let address = shop.served.address().to_owned();
    shop.served.signal(Signal::KILL);
    shop.served.process.wait().await.unwrap();
    let rest = tokio::spawn(async move {
        while let Some(line) = lines.next_line().await.unwrap() {
            text = text + &line + "\n";
        }
        text
    });
    let trouble = errors.next_line().await.unwrap().unwrap();
    assert!(trouble.ends_with("; retrying"), "{trouble}");
    shop.served = ServedBinary::start(&shop.workdir, &[&address], &[]).await;
    let expected: Vec<_> = (1..=MANY).map(|id| id.to_string()).collect();
    assert_eq!(ids(&rest.await.unwrap()), expected);
    assert!(export.wait().await.unwrap().success());
    assert_eq!(errors.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn a_reader_that_has_enough_is_no_failure() {
    let shop = Shop::open().await;
    shop.record(&purchases(MANY)).await;
    let mut export = shop.export(&[]).spawn().unwrap();
    let mut lines = BufReader::new(export.stdout.take().unwrap()).lines();
    lines.next_line().await.unwrap().unwrap();
    drop(lines);
    let output = export.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_output_that_is_full_is_a_failure() {
    let shop = Shop::open().await;
    shop.record(&purchases(1)).await;
    let full = File::options().write(true).open("/dev/full").unwrap();
    let export = shop.export(&[]).stdout(full).spawn().unwrap();
    let (line, code) = refusal_of(&export.wait_with_output().await.unwrap());
    assert_eq!(code, 1);
    assert!(line.contains("could not be written"), "{line}");
}

#[tokio::test]
async fn a_refusal_ends_the_export_at_once() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let token = workdir.token(&[]).await;
    for (account, token, reason) in [("bob", token.as_str(), "not_found"), ("alice", "x", "401")] {
        for more in [
            ["--format", "ndjson"],
            ["--format", "csv"],
            ["--output", "x"],
        ] {
            let args = ["export", account, "--url", &served.public, "--token", token];
            let (line, code) = workdir.refusal(&[&args, more.as_slice()].concat()).await;
            assert_eq!(code, 1);
            assert!(line.contains(reason), "{line}");
        }
    }
    assert_eq!(names(&workdir), ["secret.txt"], "no output, no draft");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_given_up() {
    let workdir = Workdir::new();
    // Bound but not listening: no other process gets the port, and connections fail.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let args = ["export", "alice", "--url", &url, "--token", "x"];
    let once = [&args, ["--attempts", "1"].as_slice()].concat();
    let (line, code) = workdir.refusal(&once).await;
    assert_eq!(code, 1);
    assert!(line.contains("gave up at attempt 1"), "{line}");
    assert!(line.contains("Connection refused"), "{line}");

    let twice = [&args, ["--attempts", "2"].as_slice()].concat();
    let output = workdir.run(&twice).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    let [trouble, end] = errors.lines().collect::<Vec<_>>()[..] else {
        panic!("two lines: {errors}");
    };
    assert!(trouble.ends_with("; retrying"), "{trouble}");
    assert!(end.contains("gave up at attempt 2"), "{end}");
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn passing_trouble_is_passed_and_counts_anew_after_each_page() {
    let later = |status, code| refused(status, code, "try again later");
    let busy = || later(StatusCode::SERVICE_UNAVAILABLE, "busy");
    let limited = || later(StatusCode::TOO_MANY_REQUESTS, "limited");
    let mut script = ScriptedServer::of([
        busy(),
        limited(),
        page("one", [entry(1)], Some(1)),
        limited(),
        busy(),
        page("one", [entry(2)], None),
    ])
    .await;
    let output = exported_from(&script, &Workdir::new(), &["--attempts", "3"]).await;
    assert!(output.status.success(), "{output:?}");
    let lines = format!("{}\n{}\n", entry(1), entry(2));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), lines);
    for after in ["0", "0", "0", "1", "1", "1"] {
        let query = format!("/v1/feeds/alice/entries?after={after}&limit=200");
        assert_eq!(script.asked().await, query);
    }
}

#[tokio::test]
async fn a_history_that_changes_under_an_export_breaks_it() {
    let first = || page("one", [entry(1), entry(2)], Some(2));
    for (second, reason) in [
        (page("two", [entry(3)], None), "restored"),
        (page("one", [entry(4)], None), "entry 3 is not there"),
        (page("one", [entry(1)], None), "entry 3 is not there"),
        (page("one", [], None), "entry 3 is not there"),
        (
            page("one", [entry(3), entry(5)], None),
            "entry 4 is not there",
        ),
    ] {
        let workdir = Workdir::new();
        workdir.write("export.csv", "as it was");
        let script = ScriptedServer::of([first(), second]).await;
        let output = exported_from(&script, &workdir, &["--output", "export.csv"]).await;
        let (line, code) = refusal_of(&output);
        assert_eq!(code, 1);
        assert!(line.contains(reason), "{line}");
        assert_eq!(read(&workdir, "export.csv"), "as it was");
        assert_eq!(names(&workdir), ["export.csv", "secret.txt"]);
    }
}

#[tokio::test]
async fn a_whole_export_takes_the_place_of_the_file() {
    let shop = Shop::open().await;
    shop.record(&awkward_events()).await;
    let expected = shop.exported(&[]).await;
    for more in [["--output", "new.ndjson"], ["--output", "old.ndjson"]] {
        shop.workdir
            .write("old.ndjson", &"longer than the export".repeat(100));
        assert_eq!(shop.exported(&more).await, "");
        assert_eq!(read(&shop.workdir, more[1]), expected);
    }
    let is_draft = |name: &String| name.starts_with(".tallycast-export-");
    assert!(!names(&shop.workdir).iter().any(is_draft));
}

#[cfg(unix)]
#[tokio::test]
async fn a_replaced_file_stays_where_links_lead_and_as_private_as_it_was() {
    use crate::support::permissions::{mode, set_mode};
    use std::os::unix::fs::symlink;
    let shop = Shop::open().await;
    let file = shop.workdir.write("private.ndjson", "");
    set_mode(&file, 0o640);
    symlink("private.ndjson", shop.workdir.path().join("link")).unwrap();
    shop.record(&purchases(1)).await;
    shop.exported(&["--output", "link"]).await;
    assert_eq!(ids(&read(&shop.workdir, "private.ndjson")), ["1"]);
    assert_eq!(mode(&file), 0o640);
}

#[tokio::test]
async fn an_interrupted_export_leaves_nothing_behind() {
    let workdir = Workdir::new();
    workdir.write("export.ndjson", "as it was");
    for kind in [Signal::INT, Signal::TERM] {
        let mut script = ScriptedServer::of([page("one", [entry(1)], Some(1))]).await;
        let mut command = export_from(&script, &workdir, &["--output", "export.ndjson"]);
        let export = command.spawn().unwrap();
        script.asked().await;
        // The first page is written, and the second is not answered.
        script.asked().await;
        assert_eq!(names(&workdir).len(), 3, "a draft is there");
        signal(&export, kind);
        let (line, code) = refusal_of(&export.wait_with_output().await.unwrap());
        assert_eq!(code, 1);
        assert!(line.contains("interrupted"), "{line}");
        assert_eq!(read(&workdir, "export.ndjson"), "as it was");
        assert_eq!(names(&workdir), ["export.ndjson", "secret.txt"]);
    }
}

#[tokio::test]
async fn an_output_that_cannot_be_replaced_is_refused_before_anything_is_asked() {
    let workdir = Workdir::new();
    let script = ScriptedServer::of([]).await;
    for output in [".", "/dev/null", "no-such-folder/export.csv"] {
        let refused = exported_from(&script, &workdir, &["--output", output]).await;
        let (line, code) = refusal_of(&refused);
        assert_eq!(code, 2, "{line}");
        assert!(line.contains(&format!("output {output}")) || output == ".");
    }
}

fn export_from(script: &ScriptedServer, workdir: &Workdir, more: &[&str]) -> Command {
    let args = ["export", "alice", "--url", &script.url, "--token", "x"];
    let mut command = workdir.command([&args, more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn exported_from(
    script: &ScriptedServer,
    workdir: &Workdir,
    more: &[&str],
) -> std::process::Output {
    export_from(script, workdir, more).output().await.unwrap()
}

fn entry(offset: u64) -> Value {
    json!({ "offset": offset, "id": offset.to_string() })
}

/// The names in the folder, in order.
fn names(workdir: &Workdir) -> Vec<String> {
    let files = fs::read_dir(workdir.path()).unwrap();
    let name = |file: fs::DirEntry| file.file_name().into_string().unwrap();
    let mut names: Vec<_> = files.map(|file| name(file.unwrap())).collect();
    names.sort();
    names
}

fn read(workdir: &Workdir, name: &str) -> String {
    fs::read_to_string(workdir.path().join(name)).unwrap()
}
