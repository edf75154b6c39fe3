//! The output of `strace`: system calls with the moments at which they began and returned.
//!
//! A moment is a line of the log. The tracer stops a thread before and after each call, so what one
//! thread does because of another's call comes later in the log.

use std::{collections::HashMap, fs, path::Path, time::Duration};

use super::harness::wait_until;

/// A system call that has returned.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The target of the first argument's descriptor, such as a path or a connection.
    pub(crate) target: String,
    /// The first string among the arguments.
    pub(crate) bytes: Vec<u8>,
    pub(crate) result: i64,
    pub(crate) began: usize,
    pub(crate) returned: usize,
}

const UNFINISHED: &str = " <unfinished ...>";
const RESUMED: &str = " resumed>";

/// The command line that starts a server under `strace`, as a child of the calling process.
pub(crate) fn strace(log: &Path, arguments: &[&str]) -> Vec<String> {
    // A kernel filter: only the traced calls stop for the tracer.
    let fixed = [
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-yy",
        "-s",
        "65536",
        "-o",
    ];
    let fixed = fixed.iter().map(|word| (*word).to_owned());
    let log = [log.to_str().unwrap().to_owned()];
    let given = arguments.iter().map(|word| (*word).to_owned());
    fixed.chain(log).chain(given).collect()
}

/// Waits until the log is whole, after the traced process has ended.
pub(crate) async fn ended(log: &Path) -> bool {
    let whole = async || {
        let bytes = fs::read(log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(200)..]).into_owned();
        tail.trim_end()
            .lines()
            .last()
            .is_some_and(|line| line.contains(" +++ "))
    };
    wait_until(Duration::from_secs(20), whole).await.is_some()
}

/// Reads a log, in the order in which the calls returned.
pub(crate) fn read(log: &Path) -> Vec<Call> {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let mut begun: HashMap<&str, (&str, usize)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, moment) in text.lines().zip(0..) {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(first) = rest.strip_suffix(UNFINISHED) {
            begun.insert(thread, (first, moment));
        } else if rest.starts_with("<... ") {
            let Some((first, began)) = begun.remove(thread) else {
                continue;
            };
            let Some((_, second)) = rest.split_once(RESUMED) else {
                continue;
            };
            calls.extend(call(&format!("{first}{second}"), began, moment));
        } else {
            calls.extend(call(rest, moment, moment));
        }
    }
    calls
}

/// Reads `name(3<target>, "bytes", …) = result`.
fn call(text: &str, began: usize, returned: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let result = result.split(' ').next()?.parse().ok()?;
    let target = arguments.split_once('<').map_or("", |(_, rest)| {
        // `<TCP:[a->b]>` has a `>` inside.
        let end = rest.find(">,").or_else(|| rest.find(">)")).unwrap_or(0);
        &rest[..end]
    });
    let bytes = arguments
        .split_once('"')
        .map_or_else(Vec::new, |(_, rest)| unescape(rest));
    Some(Call {
        name: name.to_owned(),
        target: target.to_owned(),
        bytes,
        result,
        began,
        returned,
    })
}

/// The bytes of a C string up to its closing quote.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => {}
            _ => {
                bytes.push(byte);
                continue;
            }
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b'r') => bytes.push(b'\r'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'v') => bytes.push(0x0B),
            Some(b'f') => bytes.push(0x0C),
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = rest.peek().copied() else {
                        break;
                    };
                    rest.next();
                    value = value * 8 + u32::from(digit - b'0');
                }
                bytes.push(u8::try_from(value & 0xFF).unwrap());
            }
            Some(other) => bytes.push(other),
            None => break,
        }
    }
    bytes
}
