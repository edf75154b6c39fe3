//! A server in a process of its own, which a test stops, as the move of a virtual machine does.

use std::{
    env,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tallycast::{Limits, serve};
use tokio::{net::TcpListener, runtime::Runtime, time::sleep};

use crate::support::feed_hub::settings;

/// The time between two pings, and for an answer. A client on a busy machine answers within a second.
pub(crate) const PING_INTERVAL: Duration = Duration::from_millis(300);
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The time for a request's head, between two of its bytes, and for a write.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A stop that outlasts every one of these times.
const STOP: Duration = Duration::from_millis(1_800);

/// How the server says where it listens.
const LISTENS: &str = "listening on ";

pub(crate) struct ChildServer {
    pub(crate) address: SocketAddr,
    process: Child,
    /// It ends with this.
    _stdin: ChildStdin,
}

impl ChildServer {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "support::child_server::serves_until_stdin_ends"])
            .args(["--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().split(LISTENS).nth(1)?.parse().ok());
        Self {
            address: address.expect("it says where it listens"),
            _stdin: process.stdin.take().unwrap(),
            process,
        }
    }

    /// Stops the process for a while. Meanwhile `act` runs.
    pub(crate) async fn stopped_while(&self, act: impl Future<Output = ()>) {
        self.signal(Signal::STOP);
        // The time of the stop is what it is about.
        tokio::join!(sleep(STOP), act);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        let _: io::Result<()> = self.process.kill();
        let _: io::Result<_> = self.process.wait();
    }
}

#[test]
#[ignore = "the process of a ChildServer"]
fn serves_until_stdin_ends() {
    Runtime::new().unwrap().block_on(async {
        let hub = settings().heartbeat(PING_INTERVAL, PING_TIMEOUT);
        let hub = hub.write_stall(PATIENCE).build().await.unwrap();
        let limits = Limits {
            head_timeout: PATIENCE,
            idle_timeout: PATIENCE,
            body_timeout: PATIENCE,
            write_stall_timeout: PATIENCE,
            ..Limits::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{LISTENS}{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, hub.router(), limits).into_future());
        let until_parent_ends = || io::stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(until_parent_ends)
            .await
            .unwrap()
            .unwrap();
    });
}
