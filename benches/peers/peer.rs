//! A server under load that sends messages when a line on its control port asks for them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    control::account,
    generator::{BenchError, Clients, WatchProtocol, source::Source},
    machine,
    processors::Processors,
    tallycast,
};

/// How a peer is started.
#[derive(Clone, Copy, PartialEq)]
enum Program {
    /// This program, in a role (see `main`).
    Own(&'static str),
    Node(&'static str),
    Bun(&'static str),
}

/// One row of a table: a server, and how it is followed.
#[derive(Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    program: Program,
    protocol: fn() -> WatchProtocol,
}

const fn contender(
    name: &'static str,
    program: Program,
    protocol: fn() -> WatchProtocol,
) -> Contender {
    Contender {
        name,
        program,
        protocol,
    }
}

pub(crate) const BARE: Contender = contender("bare write(2)", Program::Own("bare"), plain);
pub(crate) const BUN: Contender = contender("Bun (uWebSockets)", Program::Bun("bun.mjs"), plain);
pub(crate) const WS: Contender = contender("Node ws", Program::Node("ws.mjs"), plain);
pub(crate) const WEBSOCKET: Contender =
    contender("Node websocket", Program::Node("websocket.mjs"), plain);
pub(crate) const SOCKET_IO: Contender =
    contender("Node socket.io", Program::Node("socket.io.mjs"), socket_io);
pub(crate) const SOCKETIOXIDE: Contender =
    contender("socketioxide", Program::Own("socketioxide"), socket_io);
pub(crate) const FEED: Contender =
    contender("Tallycast feed, Socket.IO", Program::Own("feed"), || {
        WatchProtocol::feed_socket_io(tallycast::token())
    });
pub(crate) const FEED_WS: Contender =
    contender("Tallycast feed, /ws", Program::Own("feed"), || {
        WatchProtocol::feed_web_socket(tallycast::token())
    });
pub(crate) const FEED_SSE: Contender =
    contender("Tallycast feed, SSE", Program::Own("feed"), || {
        WatchProtocol::feed_sse(tallycast::token())
    });
pub(crate) const PUSH: Contender =
    contender("Tallycast push, Socket.IO", Program::Own("push"), || {
        WatchProtocol::feed_socket_io(tallycast::token())
    });

/// All contenders, the lower bound first.
pub(crate) const ALL: [Contender; 10] = [
    BARE,
    BUN,
    WS,
    WEBSOCKET,
    SOCKET_IO,
    SOCKETIOXIDE,
    FEED,
    FEED_WS,
    FEED_SSE,
    PUSH,
];

fn plain() -> WatchProtocol {
    WatchProtocol::WebSocket {
        path: "/?account={account}",
        token: String::new(),
    }
}

fn socket_io() -> WatchProtocol {
    WatchProtocol::SocketIo {
        namespace: "",
        token: String::new(),
    }
}

impl Contender {
    /// Starts it in a process of its own, on the server's processor.
    pub(crate) fn start(&self, processors: Processors, payload_bytes: usize) -> Peer {
        machine::warm_memory();
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let process = processors.start(|| command.spawn());
        let mut process = process.unwrap_or_else(|why| panic!("{command:?}: {why}"));
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.next().expect("a peer prints its ports").unwrap();
        let ports: Vec<u16> = line
            .strip_prefix("ready ")
            .expect("a peer prints nothing else before")
            .split(' ')
            .map(|port| port.parse().unwrap())
            .collect();
        let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let control = TcpStream::connect(local(ports[1])).unwrap();
        control.set_nodelay(true).unwrap();
        let mut peer = Peer {
            process,
            control,
            address: local(ports[0]),
            protocol: (self.protocol)(),
        };
        peer.send_command(&format!("size {payload_bytes}\n"))
            .unwrap();
        let mut answer = [0; 3];
        peer.control.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ok\n");
        peer
    }

    fn command(&self) -> Command {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let run = |runtime: PathBuf, file: &str| {
            let mut command = Command::new(runtime);
            command.arg(folder.join(file));
            command
        };
        match self.program {
            Program::Own(role) => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args(["peer", role]);
                command
            }
            Program::Node(file) => run("node".into(), file),
            Program::Bun(file) => run(machine::bun().into(), file),
        }
    }
}

/// A running peer; killed when dropped.
pub(crate) struct Peer {
    process: Child,
    control: TcpStream,
    pub(crate) address: SocketAddr,
    protocol: WatchProtocol,
}

impl Peer {
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Opens a watcher of each of these accounts.
    pub(crate) fn watch(
        &self,
        clients: &mut Clients,
        indices: impl Iterator<Item = u32>,
    ) -> Result<(), BenchError> {
        clients.watch(self.protocol.clone(), indices.map(account))
    }

    fn send_command(&mut self, line: &str) -> Result<(), BenchError> {
        Ok(self.control.write_all(line.as_bytes())?)
    }
}

impl Source for Peer {
    fn can_send(&self, _: &Clients) -> bool {
        true
    }

    fn send(&mut self, _: &mut Clients, account: u32) -> Result<(), BenchError> {
        self.send_command(&format!("push {account}\n"))
    }

    fn send_random(
        &mut self,
        _: &mut Clients,
        seed: u32,
        count: u32,
        accounts: u32,
    ) -> Result<(), BenchError> {
        self.send_command(&format!("unicast {seed} {count} {accounts}\n"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
