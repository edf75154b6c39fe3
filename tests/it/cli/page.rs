//! `tallycast serve --page`: a page of the operator's own.

use std::fs;

use http::StatusCode;
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    SOON,
    binary::{ServedBinary, Workdir, header},
};

pub(super) const INDEX: &str = "<!doctype html><title>A page</title>";
const SCRIPT: &str = "export {};";
/// In files that must not be served.
const CANARY: &str = "canary-77a1";

/// Puts a page into the folder `site`.
pub(super) fn build(workdir: &Workdir) {
    fs::create_dir_all(workdir.path().join("site/assets")).unwrap();
    workdir.write("site/index.html", INDEX);
    workdir.write("site/assets/page-1a2b.js", SCRIPT);
}

async fn serve(workdir: &Workdir) -> ServedBinary {
    workdir
        .serve(&["--ledger", "memory", "--page", "site"])
        .await
}

/// Sends a path unchanged, where a client would normalise it; returns the status and the whole answer.
async fn ask(served: &ServedBinary, method: &str, path: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(served.address()).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let reading = tcp.read_to_string(&mut answer);
    timeout(SOON, reading).await.expect("an answer").unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn the_page_of_a_folder_is_served_with_a_strict_policy() {
    let workdir = Workdir::new();
    build(&workdir);
    let served = serve(&workdir).await;
    let response = reqwest::get(&served.public).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers().clone();
    for (name, expected) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             font-src 'self'; connect-src 'self'; frame-src 'self'; manifest-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
        ),
        ("content-type", "text/html"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(header(&headers, name), expected, "{name}");
    }
    assert_eq!(response.text().await.unwrap(), INDEX);

    let again = Client::new()
        .get(&served.public)
        .header("if-none-match", header(&headers, "etag"));
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(again.headers(), "cache-control"), "no-cache");
}

#[tokio::test]
async fn files_with_hashed_names_are_kept_for_ever_and_others_are_not() {
    let workdir = Workdir::new();
    build(&workdir);
    workdir.write("site/icon.svg", "<svg/>");
    let served = serve(&workdir).await;
    for (path, status, media_type, caching) in [
        (
            "assets/page-1a2b.js",
            200,
            "text/javascript",
            "public, max-age=31536000, immutable",
        ),
        ("icon.svg", 200, "image/svg+xml", "no-cache"),
        // A page that is being deployed: its files may still arrive.
        ("assets/page-3c4d.js", 404, "", "no-cache"),
    ] {
        let url = format!("{}/{path}", served.public);
        let response = reqwest::get(url).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        if status == 200 {
            assert_eq!(header(response.headers(), "content-type"), media_type);
        }
        let headers = response.headers();
        assert_eq!(header(headers, "cache-control"), caching, "{path}");
        assert_eq!(header(headers, "x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_page_is_read_and_not_written() {
    let workdir = Workdir::new();
    build(&workdir);
    let served = serve(&workdir).await;
    let (status, answer) = ask(&served, "HEAD", "/assets/page-1a2b.js").await;
    assert_eq!(status, 200);
    let length = format!("content-length: {}\r\n", SCRIPT.len());
    assert!(answer.contains(&length), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    for method in ["POST", "PUT", "DELETE"] {
        assert_eq!(ask(&served, method, "/").await.0, 405, "{method}");
    }
}

#[tokio::test]
async fn nothing_beside_the_page_and_no_dotfile_is_served() {
    let workdir = Workdir::new();
    build(&workdir);
    fs::create_dir(workdir.path().join("site/.git")).unwrap();
    for name in ["outside.txt", "site/.env", "site/.git/config"] {
        workdir.write(name, CANARY);
    }
    let served = serve(&workdir).await;
    for path in [
        "/../outside.txt",
        "/assets/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/assets/%2E%2E%2F%2E%2E%2Foutside.txt",
        "/..%5coutside.txt",
        "//../outside.txt",
        "/.env",
        "/%2eenv",
        "/assets/../.env",
        "/.git/config",
        "/.git%2fconfig",
        "/%2Egit/config",
        "/./.git/config",
        "/assets/",
        "/index.html/x",
        "/%00",
        "/%ff",
    ] {
        let (status, answer) = ask(&served, "GET", path).await;
        assert_eq!(status, 404, "{path}: {answer}");
        assert!(!answer.contains(CANARY), "{path}: {answer}");
    }
    assert_eq!(ask(&served, "GET", "/index.html").await.0, 200);
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_within_the_page_only() {
    use std::os::unix::fs::symlink;
    let workdir = Workdir::new();
    build(&workdir);
    let site = workdir.path().join("site");
    let outside = workdir.write("outside.txt", CANARY);
    fs::create_dir(workdir.path().join("site-beside")).unwrap();
    workdir.write("site-beside/index.html", CANARY);
    // As Kubernetes mounts a volume of files.
    fs::create_dir(site.join("..2026_12_01")).unwrap();
    workdir.write("site/..2026_12_01/mounted.js", SCRIPT);
    for (target, link) in [
        ("..2026_12_01", "..data"),
        ("..data/mounted.js", "mounted.js"),
        ("assets", "scripts"),
        ("../site/index.html", "alias.html"),
        ("../outside.txt", "out.txt"),
        ("out.txt", "twice.txt"),
        (outside.to_str().unwrap(), "absolute.txt"),
        ("..", "up"),
        ("../site-beside", "beside"),
        ("/etc", "etc"),
        ("/dev/zero", "endless"),
        ("round", "round"),
        ("nowhere", "nowhere"),
    ] {
        symlink(target, site.join(link)).unwrap();
    }
    let served = serve(&workdir).await;
    for method in ["GET", "HEAD"] {
        for path in ["/mounted.js", "/scripts/page-1a2b.js", "/alias.html"] {
            let (status, answer) = ask(&served, method, path).await;
            assert_eq!(status, 200, "{path}: {answer}");
        }
        for path in [
            "/out.txt",
            "/twice.txt",
            "/absolute.txt",
            "/up",
            "/up/",
            "/up/outside.txt",
            "/up/site/index.html/../../outside.txt",
            "/scripts/../out.txt",
            "/beside",
            "/beside/",
            "/beside/index.html",
            "/etc/passwd",
            "/endless",
            "/round",
            "/nowhere",
        ] {
            let (status, answer) = ask(&served, method, path).await;
            assert_eq!(status, 404, "{path}: {answer}");
            assert!(!answer.contains(CANARY), "{path}: {answer}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_page_that_is_switched_by_a_link_is_served_anew() {
    use std::os::unix::fs::symlink;
    let workdir = Workdir::new();
    build(&workdir);
    fs::create_dir(workdir.path().join("next")).unwrap();
    workdir.write("next/index.html", "the next page");
    let current = workdir.path().join("current");
    symlink("site", &current).unwrap();
    let served = workdir
        .serve(&["--ledger", "memory", "--page", "current"])
        .await;
    assert!(ask(&served, "GET", "/").await.1.ends_with(INDEX));
    symlink("next", workdir.path().join("switched")).unwrap();
    fs::rename(workdir.path().join("switched"), current).unwrap();
    assert!(ask(&served, "GET", "/").await.1.ends_with("the next page"));
}

#[cfg(unix)]
#[tokio::test]
async fn an_index_outside_of_the_folder_is_no_page() {
    use std::os::unix::fs::symlink;
    let workdir = Workdir::new();
    workdir.write("elsewhere.html", INDEX);
    fs::create_dir(workdir.path().join("site")).unwrap();
    symlink("../elsewhere.html", workdir.path().join("site/index.html")).unwrap();
    let args = ["check-config", "--jwt-secret-file", "secret.txt"];
    let output = workdir
        .run(&[&args, ["--page", "site"].as_slice()].concat())
        .await;
    assert_eq!(output.status.code(), Some(2));
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(
        line.contains("page \"site\"") && line.contains("link"),
        "{line}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let workdir = Workdir::new();
    build(&workdir);
    let pipe = workdir.path().join("site/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let _socket =
        std::os::unix::net::UnixListener::bind(workdir.path().join("site/socket")).unwrap();
    let served = serve(&workdir).await;
    let long = format!("/{}", "a".repeat(300));
    for path in ["/pipe", "/socket", &long] {
        for method in ["GET", "HEAD"] {
            assert_eq!(ask(&served, method, path).await.0, 404, "{path}");
        }
    }
}

/// A browser reads `//host` and `/\host` as another host.
#[tokio::test]
async fn no_path_redirects_to_another_host() {
    let workdir = Workdir::new();
    build(&workdir);
    for folder in ["evil.example", "\\evil.example", "a:b"] {
        fs::create_dir_all(workdir.path().join("site").join(folder)).unwrap();
    }
    let served = serve(&workdir).await;
    let base = reqwest::Url::parse(&served.public).unwrap();
    let mut redirects = 0;
    for path in [
        "/assets",
        "/a:b",
        "//assets",
        "//evil.example",
        "///evil.example",
        "//evil.example?//evil.example",
        "/%2fevil.example",
        "/%2f%2fevil.example",
        "/%2F/evil.example",
        "/\\evil.example",
        "/%5cevil.example",
        "/\\/evil.example",
        "//\\evil.example",
        "//user@evil.example",
        "//evil.example:80",
        "http://evil.example/assets",
        "http://evil.example//assets",
        "http://evil.example//evil.example",
    ] {
        for method in ["GET", "HEAD"] {
            let (status, answer) = ask(&served, method, path).await;
            let locations = answer.lines().filter_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("location").then_some(value)
            });
            for location in locations {
                redirects += 1;
                assert_eq!(status, 307, "{path}: {answer}");
                let target = base.join(location).unwrap();
                assert_eq!(target.host(), base.host(), "{path}: {answer}");
                assert_eq!(target.port(), base.port(), "{path}: {answer}");
            }
        }
    }
    assert!(
        redirects >= 8,
        "a folder's path leads to its index: {redirects}"
    );
}

#[tokio::test]
async fn a_folder_leads_to_its_index() {
    let workdir = Workdir::new();
    build(&workdir);
    fs::create_dir_all(workdir.path().join("site/help/more")).unwrap();
    workdir.write("site/help/index.html", "help");
    workdir.write("site/help/more/index.html", "more help");
    let served = serve(&workdir).await;
    for (path, end, text) in [
        ("/help", "/help/", "help"),
        ("/help/", "/help/", "help"),
        ("/help?q=/a//b", "/help/?q=/a//b", "help"),
        ("/help/more", "/help/more/", "more help"),
        ("//help", "//help/", "help"),
    ] {
        let response = reqwest::get(format!("{}{path}", served.public)).await;
        let response = response.unwrap();
        let expected = format!("{}{end}", served.public);
        assert_eq!(response.url().as_str(), expected, "{path}");
        assert_eq!(response.text().await.unwrap(), text, "{path}");
    }
}

#[tokio::test]
async fn the_hub_wins_over_files_of_the_same_name() {
    let workdir = Workdir::new();
    build(&workdir);
    for folder in ["site/v1", "site/socket.io"] {
        fs::create_dir(workdir.path().join(folder)).unwrap();
    }
    for name in ["events", "more.js", "index.html"] {
        workdir.write(&format!("site/v1/{name}"), CANARY);
        workdir.write(&format!("site/socket.io/{name}"), CANARY);
    }
    let served = serve(&workdir).await;
    for (path, expected) in [
        ("/v1/events", 405),
        ("/v1", 404),
        ("/v1/", 404),
        ("//v1/more.js", 404),
        ("/%761/more.js", 404),
        ("/socket.io/?EIO=4&transport=polling", 200),
        ("/socket.io/more.js", 404),
    ] {
        let (status, answer) = ask(&served, "GET", path).await;
        assert!(!answer.contains(CANARY), "{path}: {answer}");
        assert_eq!(status, expected, "{path}: {answer}");
    }
    served.record(&workdir, "one", "12.50").await;
    let (_, problem) = ask(&served, "GET", "/v1/events").await;
    assert!(problem.contains("application/problem+json"), "{problem}");
}

#[tokio::test]
async fn without_a_page_there_is_nothing_beside_the_hub() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let (status, answer) = ask(&served, "GET", "/").await;
    assert_eq!(status, 404);
    assert!(!answer.contains("content-security-policy"), "{answer}");
}

#[tokio::test]
async fn a_page_is_configured_like_everything_else() {
    let workdir = Workdir::new();
    build(&workdir);
    workdir.write("page.toml", "page = \"site\"\nledger = \"memory\"\n");
    let served = workdir.serve(&["--config", "page.toml"]).await;
    assert_eq!(ask(&served, "GET", "/").await.0, 200);

    let mut shown = workdir.command(["check-config", "--jwt-secret-file", "secret.txt"]);
    let shown = shown.env("TALLYCAST_PAGE", "site").output().await.unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let line = shown.lines().find(|line| line.starts_with("page = "));
    let line = line.unwrap_or_else(|| panic!("{shown}"));
    assert!(
        line.starts_with("page = \"site\"") && line.ends_with("# environment"),
        "{line}"
    );
}

#[tokio::test]
async fn a_folder_that_is_no_page_is_told_in_one_line() {
    let workdir = Workdir::new();
    fs::create_dir_all(workdir.path().join("odd/index.html")).unwrap();
    let key = ["--jwt-secret-file", "secret.txt"];
    for folder in ["missing", ".", "odd", "secret.txt"] {
        let page = ["--page", folder];
        let serve = [&["serve"], &key[..], &page].concat();
        let check = [&["check-config"], &key[..], &page].concat();
        let demo = [&["demo"], &page[..]].concat();
        for args in [serve, demo] {
            let (line, code) = workdir.refusal(&args).await;
            assert!(line.contains(&format!("page {folder:?}")), "{line}");
            assert!(
                line.contains("index.html") && line.contains("make page"),
                "{line}"
            );
            assert_eq!(code, 2);
        }
        assert_eq!(workdir.run(&check).await.status.code(), Some(2), "{folder}");
    }
    assert!(!workdir.path().join("consumption.db").exists());
}
