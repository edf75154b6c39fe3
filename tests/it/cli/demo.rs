//! `tallycast demo` over the real binary: real purchases arrive on the screen that it links to.

use std::{fs, process::Stdio};

use reqwest::{Client, StatusCode};
use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use super::{Place, signal};
use crate::server::SOON;

struct Demo {
    process: Child,
    link: String,
    /// Where it puts temporary files.
    place: Place,
}

impl Demo {
    async fn start() -> Self {
        let place = Place::new();
        fs::create_dir(place.path().join("tmp")).unwrap();
        let mut process = place
            .command(["demo", "--listen", "127.0.0.1:0", "--no-open"])
            .env("TMPDIR", place.path().join("tmp"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let link = loop {
            let line = lines.next_line().await.unwrap().expect("a link comes");
            if line.contains("#account=") {
                break line.trim().to_owned();
            }
        };
        Self {
            process,
            link,
            place,
        }
    }

    fn left_behind(&self) -> usize {
        fs::read_dir(self.place.path().join("tmp")).unwrap().count()
    }

    fn page(&self) -> &str {
        self.link.split_once('#').unwrap().0
    }

    fn token(&self) -> &str {
        self.link.split_once("token=").unwrap().1
    }

    async fn feed(&self, account: &str, query: &str) -> (StatusCode, Value) {
        let url = format!("{}v1/feeds/{account}{query}", self.page());
        let request = Client::new().get(url).bearer_auth(self.token());
        let response = request.timeout(SOON).send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap())
    }
}

#[tokio::test]
async fn purchases_arrive_by_themselves_in_the_linked_account_and_no_other_can_be_seen() {
    let demo = Demo::start().await;
    let (_, mut message) = demo.feed("customer-01", "").await;
    let start = message["offset"].as_u64().unwrap();
    for _ in 0..2 {
        let position = message["position"].as_str().unwrap();
        let query = format!("?after={position}&wait=8");
        (_, message) = demo.feed("customer-01", &query).await;
        assert_eq!(message["type"], "update");
    }
    assert!(message["to"].as_u64().unwrap() >= start + 2);
    let entry = &message["entries"][0];
    assert!(["single", "a few", "a stack"].contains(&entry["category"].as_str().unwrap()));
    assert!(
        entry["description"].as_str().unwrap().contains("199"),
        "{entry}"
    );
    assert!(entry["time"].as_str().unwrap() > "2020", "{entry}");

    let (status, _) = demo.feed("customer-02", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_is_served_with_all_that_it_needs() {
    let demo = Demo::start().await;
    let get = async |name: &str| {
        let response = reqwest::get(format!("{}{name}", demo.page()))
            .await
            .unwrap();
        let media_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(response.headers().contains_key("content-security-policy"));
        (media_type, response.text().await.unwrap())
    };
    let (media_type, index) = get("").await;
    assert_eq!(media_type, "text/html; charset=utf-8");
    assert!(index.contains("CDNOW"));
    assert!(index.contains("as of now"));
    for (name, expected) in [("page.js", "text/javascript"), ("page.css", "text/css")] {
        assert!(index.contains(name));
        assert!(get(name).await.0.starts_with(expected));
    }
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let mut demo = Demo::start().await;
    assert_eq!(demo.left_behind(), 1);
    signal(&demo.process, Signal::INT);
    assert!(demo.process.wait().await.unwrap().success());
    assert_eq!(demo.left_behind(), 0);
}
