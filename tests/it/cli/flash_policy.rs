use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::binary::{ServedBinary, Workdir, listening, refusal_of};

const REQUEST: &[u8] = b"<policy-file-request/>\0";
/// How many are served at once.
const CONNECTIONS_MAX: usize = 16;

/// A server with a Flash policy file, and the address of that.
async fn serve(workdir: &Workdir, more: &[&str]) -> (ServedBinary, String) {
    let on = ["--ledger", "memory", "--flash-policy-listen", "127.0.0.1:0"];
    let mut served = workdir.serve(&[&on, more].concat()).await;
    let workdir = listening(&mut served.stdout).await;
    (served, workdir.strip_prefix("tcp://").unwrap().to_owned())
}

async fn connect(address: &str) -> TcpStream {
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

/// Everything up to the end.
async fn rest(mut tcp: TcpStream) -> String {
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn policy_file_names_the_public_port() {
    let workdir = Workdir::new();
    let (served, address) = serve(&workdir, &[]).await;
    let mut tcp = connect(&address).await;
    tcp.write_all(REQUEST).await.unwrap();
    let port = served.address().rsplit_once(':').unwrap().1;
    let expected = format!(
        "<?xml version=\"1.0\"?><cross-domain-policy>\
         <allow-access-from domain=\"*\" to-ports=\"{port}\"/></cross-domain-policy>\0"
    );
    assert_eq!(rest(tcp).await, expected);
}

#[tokio::test]
async fn policy_file_names_the_hosts_of_the_allowed_origins() {
    let workdir = Workdir::new();
    let origins = "https://app.example.com,https://shop.example:8443";
    let (_served, address) = serve(&workdir, &["--allowed-origins", origins]).await;
    let mut tcp = connect(&address).await;
    tcp.write_all(REQUEST).await.unwrap();
    let file = rest(tcp).await;
    assert!(file.contains("domain=\"app.example.com\""), "{file}");
    assert!(file.contains("domain=\"shop.example\""), "{file}");
    assert!(!file.contains("domain=\"*\""), "{file}");
}

#[tokio::test]
async fn policy_file_is_sent_to_who_asks_byte_by_byte() {
    let workdir = Workdir::new();
    let (_served, address) = serve(&workdir, &[]).await;
    let mut tcp = connect(&address).await;
    for byte in REQUEST {
        tcp.write_all(&[*byte]).await.unwrap();
        tcp.flush().await.unwrap();
    }
    assert!(rest(tcp).await.ends_with("</cross-domain-policy>\0"));
}

#[tokio::test]
async fn other_requests_get_no_policy_file() {
    let workdir = Workdir::new();
    let (_served, address) = serve(&workdir, &[]).await;
    for wrong in [
        b"<policy-file-request/>\n\0".as_slice(),
        b"GET / HTTP/1.1\r\n\r\n\0",
        // The most that the server reads, without a terminator.
        &[b'x'; 64],
    ] {
        let mut tcp = connect(&address).await;
        tcp.write_all(wrong).await.unwrap();
        assert_eq!(rest(tcp).await, "");
    }
    let mut gone = connect(&address).await;
    gone.write_all(&REQUEST[..9]).await.unwrap();
    gone.shutdown().await.unwrap();
    assert_eq!(rest(gone).await, "");
}

#[tokio::test]
async fn silent_client_of_the_policy_file_is_cut() {
    let workdir = Workdir::new();
    let (_served, address) = serve(&workdir, &[]).await;
    assert_eq!(rest(connect(&address).await).await, "");
}

#[tokio::test]
async fn only_so_many_fetch_the_policy_file_at_once() {
    let workdir = Workdir::new();
    let (_served, address) = serve(&workdir, &[]).await;
    let mut silent = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        silent.push(connect(&address).await);
    }
    let mut late = connect(&address).await;
    late.write_all(REQUEST).await.unwrap();
    let mut late = tokio::spawn(rest(late));
    // Clients beyond the cap are not answered until the silent ones are cut.
    tokio::select! {
        biased;
        end = rest(silent.remove(0)) => assert_eq!(end, ""),
        file = &mut late => panic!("answered at once: {file:?}"),
    }
    assert!(late.await.unwrap().ends_with('\0'));
}

#[tokio::test]
async fn shutdown_does_not_wait_for_who_fetches_the_policy_file() {
    let workdir = Workdir::new();
    let (served, address) = serve(&workdir, &["--drain-seconds", "0"]).await;
    let silent = connect(&address).await;
    served.signal(Signal::TERM);
    assert_eq!(rest(silent).await, "");
    assert_eq!(served.exit_code().await, Some(0));
}

#[tokio::test]
async fn no_policy_file_unless_asked_for() {
    let workdir = Workdir::new();
    let mut served = workdir.serve(&["--ledger", "memory"]).await;
    served.signal(Signal::TERM);
    assert_eq!(served.stdout.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn wrong_address_of_the_policy_file_is_told_in_one_line() {
    let workdir = Workdir::new();
    let args = [
        "serve",
        "--jwt-secret-file",
        "secret.txt",
        "--listen",
        "127.0.0.1:0",
    ];
    let args = [&args, ["--admin-listen", "127.0.0.1:0"].as_slice()].concat();
    let output = workdir
        .command(args)
        .env("TALLYCAST_FLASH_POLICY_LISTEN", "nowhere")
        .output()
        .await
        .unwrap();
    let (line, code) = refusal_of(&output);
    assert!(line.contains("flash_policy_listen \"nowhere\""), "{line}");
    assert_eq!(code, 1);
    assert!(!workdir.path().join("consumption.db").exists());
}
