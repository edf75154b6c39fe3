use crate::support::binary::Workdir;

async fn bench(workdir: &Workdir, url: &str, more: &[&str]) -> String {
    let args = ["bench", "--to", url, "--jwt-secret-file", "secret.txt"];
    let small = ["--watchers", "5", "--messages", "20"];
    workdir
        .prints(&[&args, small.as_slice(), more].concat())
        .await
}

#[tokio::test]
async fn bench_counts_what_every_transport_delivers() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    for transport in ["socketio", "ws", "sse"] {
        let printed = bench(&workdir, &served.public, &["--transport", transport]).await;
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], "workload   broadcast, 5 watchers");
        assert!(
            lines[1].starts_with("delivered  100 entries in 100 messages of "),
            "{printed}"
        );
        assert!(lines[2].starts_with("rate       "), "{printed}");
        assert!(lines[3].starts_with("latency    p50 "), "{printed}");
    }
}

#[tokio::test]
async fn bench_has_a_figure_for_every_workload() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    for (workload, figure) in [
        ("unicast", "delivered  100 entries"),
        ("latency", "delivered  20 entries"),
        ("ingest", "recorded   100 events"),
        ("connect", "connected  "),
    ] {
        let printed = bench(&workdir, &served.public, &["--workload", workload]).await;
        assert!(printed.contains(&format!("\n{figure}")), "{printed}");
    }
}

#[tokio::test]
async fn bench_says_in_a_line_what_it_lacks() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let url = served.public.as_str();
    let watch_only = workdir.token(&["--accounts", "*"]).await;
    let https = url.replace("http", "https");
    for (args, words, code) in [
        (&["--to", url][..], "--token", 2),
        (&["--to", url, "--token", "x"], "unauthorized", 1),
        (
            &["--to", url, "--token", &watch_only, "--messages", "1"],
            "not_found",
            1,
        ),
        (&["--to", &https, "--token", "x"], "http://HOST:PORT", 2),
        (
            &["--to", url, "--token", "x", "--workload", "idle"],
            "--pid",
            2,
        ),
        (
            &["--to", url, "--token", "x", "--pid", "0"],
            "name a process",
            2,
        ),
    ] {
        let (line, refused_with) = workdir.refusal(&[&["bench"], args].concat()).await;
        assert!(line.contains(words), "{line}");
        assert_eq!(refused_with, code, "{line}");
    }
}
