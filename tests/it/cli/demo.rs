//! `tallycast demo` with the real binary: a past, and purchases that arrive on the page that it links to.

use std::{fs, net::UdpSocket, process::Stdio, time::Duration};

use jiff::{ToSpan, civil::Date};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};

use super::page;
use crate::support::{
    SOON,
    binary::{Workdir, header, signal},
};

/// The machine's time zone.
const ZONE: &str = "Asia/Shanghai";

/// Purchases of one account are up to half a minute apart.
const PURCHASE_SOON: Duration = Duration::from_secs(60);

struct Demo {
    process: Child,
    /// Its output up to the link, and the link.
    said: Vec<String>,
    link: String,
    /// Its folder for temporary files.
    workdir: Workdir,
}

impl Demo {
    async fn start() -> Self {
        Self::at("127.0.0.1:0").await
    }

    async fn at(listen: &str) -> Self {
        let workdir = Workdir::new();
        page::build(&workdir);
        fs::create_dir(workdir.path().join("tmp")).unwrap();
        let mut process = workdir
            .command(["demo", "--listen", listen, "--page", "site", "--no-open"])
            .env("TZ", ZONE)
            .env("TMPDIR", workdir.path().join("tmp"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            let is_last = line.contains("Ctrl-C");
            said.push(line);
            if is_last {
                break;
            }
        }
        let link = said.iter().find(|line| line.contains("/#token="));
        let link = link.expect("a link comes").trim().to_owned();
        Self {
            process,
            said,
            link,
            workdir,
        }
    }

    fn left_behind(&self) -> usize {
        fs::read_dir(self.workdir.path().join("tmp"))
            .unwrap()
            .count()
    }

    /// The page's address.
    fn page(&self) -> &str {
        self.link.split_once('#').unwrap().0
    }

    /// The parameters that the link gives the page.
    fn told(&self, name: &str) -> &str {
        let fragment = self.link.split_once('#').unwrap().1;
        let mut pairs = fragment
            .split('&')
            .map(|pair| pair.split_once('=').unwrap());
        pairs.find(|(key, _)| *key == name).unwrap().1
    }

    fn lanes(&self) -> Vec<String> {
        let lanes = self.told("lanes").split(',');
        lanes
            .map(|port| format!("http://127.0.0.1:{port}/"))
            .collect()
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = Client::new().request(method, url).timeout(PURCHASE_SOON);
        request.bearer_auth(self.told("token"))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let url = format!("{}v1/{path}", self.page());
        let response = self.request(Method::GET, &url).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    async fn buy_coffee(&self, account: &str) -> StatusCode {
        let url = format!("{}v1/events", self.page());
        let coffee = json!({ "id": "coffee", "account": account, "amount": "3.20", "unit": "USD" });
        let request = self.request(Method::POST, &url).json(&coffee);
        request.send().await.unwrap().status()
    }
}

#[tokio::test]
async fn purchases_arrive_by_themselves() {
    let demo = Demo::start().await;
    let (_, mut message) = demo.get("feeds/customer-12").await;
    let start = message["offset"].as_u64().unwrap();
    for _ in 0..2 {
        let position = message["position"].as_str().unwrap();
        let query = format!("feeds/customer-12?after={position}&wait=55");
        (_, message) = demo.get(&query).await;
        assert_eq!(message["type"], "update");
    }
    assert!(message["to"].as_u64().unwrap() >= start + 2);
    let entries = message["entries"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["kind"] == "consumption");
    let entry = entry.expect("a purchase");
    assert!(["single", "a few", "a stack"].contains(&entry["category"].as_str().unwrap()));
    assert!(
        entry["description"].as_str().unwrap().contains("199"),
        "{entry}"
    );
    assert!(entry["time"].as_str().unwrap() > "2020", "{entry}");
}

#[tokio::test]
async fn accounts_have_a_past_of_forty_days_a_name_and_budgets() {
    let demo = Demo::start().await;
    let (_, profile) = demo.get("accounts/customer-12").await;
    assert_eq!(profile["name"], "Customer 12");
    let budgets = profile["budgets"].as_array().unwrap();
    let budget = |index: usize| (&budgets[index]["id"], &budgets[index]["window"]);
    assert_eq!(budget(0), (&json!("Today"), &json!("day")));
    assert_eq!(budget(1), (&json!("This month"), &json!("month")));
    for budget in budgets {
        assert_eq!(budget["thresholds"], json!([50, 80, 100]));
    }

    assert_eq!(profile["time_zone"], ZONE);

    let (_, snapshot) = demo.get("feeds/customer-12").await;
    let today = &snapshot["totals"][0]["day"];
    let first = days_before(&today["start"], 40);
    let last = days_before(&today["start"], 1);
    let past = format!("accounts/customer-12/totals?by=day&from={first}&to={last}");
    let (_, past) = demo.get(&past).await;
    let past = past["totals"].as_array().unwrap();
    assert_eq!(past.len(), 40);
    let count: i64 = past.iter().map(|day| day["count"].as_i64().unwrap()).sum();
    assert!((300..500).contains(&count), "about ten a day: {count}");
}

fn days_before(date: &Value, days: i32) -> Date {
    let date: Date = date.as_str().unwrap().parse().unwrap();
    date - days.days()
}

#[tokio::test]
async fn the_token_watches_and_records_the_twelve_accounts_and_no_other() {
    let demo = Demo::start().await;
    assert_eq!(demo.told("account"), "customer-01");
    for (account, watched, recorded) in [
        ("customer-01", StatusCode::OK, StatusCode::CREATED),
        ("customer-02", StatusCode::OK, StatusCode::CREATED),
        ("customer-12", StatusCode::OK, StatusCode::CREATED),
        ("customer-13", StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
        ("alice", StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
    ] {
        let (status, _) = demo.get(&format!("feeds/{account}")).await;
        assert_eq!(status, watched, "{account}");
        assert_eq!(demo.buy_coffee(account).await, recorded, "{account}");
    }
    let url = format!("{}v1/accounts/customer-01", demo.page());
    let erasure = demo.request(Method::DELETE, &url).send().await.unwrap();
    assert_eq!(erasure.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn lanes_follow_the_same_feed_and_let_the_page_call() {
    let demo = Demo::start().await;
    let page = demo.page().trim_end_matches('/');
    let (_, snapshot) = demo.get("feeds/customer-02").await;
    assert_eq!(demo.buy_coffee("customer-02").await, StatusCode::CREATED);
    let lanes = demo.lanes();
    assert_eq!(lanes.len(), 3);
    for lane in &lanes {
        assert!(
            demo.said
                .contains(&format!("listening on {}", lane.trim_end_matches('/')))
        );
        let url = format!("{lane}v1/feeds/customer-02");
        let preflight = Client::new()
            .request(Method::OPTIONS, &url)
            .header("origin", page)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization");
        let preflight = preflight.send().await.unwrap();
        assert!(preflight.status().is_success());
        let headers = preflight.headers();
        assert_eq!(header(headers, "access-control-allow-origin"), "*");
        assert!(header(headers, "access-control-allow-headers").contains("authorization"));

        let position = snapshot["position"].as_str().unwrap();
        let url = format!("{url}?after={position}&wait=30");
        let response = demo.request(Method::GET, &url).header("origin", page);
        let response = response.send().await.unwrap();
        assert_eq!(
            header(response.headers(), "access-control-allow-origin"),
            "*"
        );
        assert_eq!(header(response.headers(), "timing-allow-origin"), "*");
        let update: Value = response.json().await.unwrap();
        let next = snapshot["offset"].as_u64().unwrap() + 1;
        assert_eq!(
            (&update["type"], &update["from"]),
            (&json!("update"), &json!(next))
        );
        // Only the first listener serves the page.
        assert_eq!(
            reqwest::get(lane).await.unwrap().status(),
            StatusCode::NOT_FOUND
        );
    }
}

#[tokio::test]
async fn the_page_is_on_the_first_listener_and_may_connect_to_the_lanes() {
    let demo = Demo::start().await;
    let listening = |line: &&String| line.starts_with("listening on http://127.0.0.1:");
    assert_eq!(demo.said.iter().take_while(listening).count(), 5);
    assert_eq!(
        format!("{}/", demo.said[0]),
        format!("listening on {}", demo.page())
    );

    let response = reqwest::get(demo.page()).await.unwrap();
    let lanes = demo.told("lanes").split(',');
    let lanes: String = lanes
        .map(|port| format!(" http://*:{port} ws://*:{port}"))
        .collect();
    let policy = header(response.headers(), "content-security-policy");
    assert!(
        policy.contains(&format!("; connect-src 'self'{lanes}; ")),
        "{policy}"
    );
    assert_eq!(header(response.headers(), "timing-allow-origin"), "*");
    assert_eq!(response.text().await.unwrap(), page::INDEX);
}

#[tokio::test]
async fn a_link_for_others_in_the_network_is_printed_where_they_can_reach_it() {
    let here = Demo::start().await;
    let links = |demo: &Demo| {
        demo.said
            .iter()
            .filter(|line| line.contains("/#token="))
            .count()
    };
    assert_eq!(links(&here), 1);

    let demo = Demo::at("0.0.0.0:0").await;
    assert!(demo.page().starts_with("http://127.0.0.1:"));
    let phone = demo
        .said
        .iter()
        .position(|line| line.starts_with("On a phone"));
    let Some(phone) = phone else {
        assert!(!has_network() && links(&demo) == 1);
        return;
    };
    let link = demo.said[phone + 2].trim();
    assert!(link.starts_with("http://") && !link.contains("//127.") && !link.contains("//0."));
    assert_eq!(
        link.split_once("/#").unwrap().1,
        demo.link.split_once("/#").unwrap().1
    );
    let page = reqwest::get(link).await.unwrap();
    assert_eq!(page.text().await.unwrap(), page::INDEX);
}

/// Whether the machine has a route to a network; nothing is sent.
fn has_network() -> bool {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let way = socket.connect("203.0.113.1:9");
    way.is_ok_and(|()| !socket.local_addr().unwrap().ip().is_loopback())
}

#[cfg(not(feature = "page"))]
#[tokio::test]
async fn a_build_without_a_page_says_where_to_get_one() {
    let (line, code) = Workdir::new().refusal(&["demo", "--no-open"]).await;
    assert!(line.contains("--page client-demo/dist"), "{line}");
    assert!(line.contains("--features page"), "{line}");
    assert_eq!(code, 2);
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let mut demo = Demo::start().await;
    assert_eq!(demo.left_behind(), 1);
    let mut streams = Vec::new();
    for address in [vec![demo.page().to_owned()], demo.lanes()].concat() {
        let url = format!("{address}v1/feeds/customer-01/sse");
        streams.push(demo.request(Method::GET, &url).send().await.unwrap());
    }
    signal(&demo.process, Signal::INT);
    for stream in streams {
        let text = stream.text().await.unwrap();
        assert!(text.contains("\"code\":\"shutdown\""), "{text}");
    }
    let end = timeout(SOON, demo.process.wait()).await;
    assert!(end.expect("it ends").unwrap().success());
    assert_eq!(demo.left_behind(), 0);
}
