//! Arrows point down only: what each room of `src` may know.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each room, and the rooms below it that it may name.
const ROOMS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ledger", &["domain"]),
    ("feed", &["domain", "ledger"]),
    ("access", &["domain"]),
    ("api", &["domain", "ledger", "feed", "access"]),
    (
        "transport",
        &["domain", "ledger", "feed", "access", "api", "serve"],
    ),
    ("serve", &[]),
    (
        "hub",
        &["domain", "ledger", "feed", "access", "api", "transport"],
    ),
    ("schema", &["domain", "feed", "api", "transport"]),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

/// Crates that only some rooms may use.
const CRATES: &[(&str, &[&str])] = &[
    ("rusqlite", &["ledger"]),
    ("socketioxide", &["transport", "hub"]),
    ("jsonwebtoken", &["access"]),
    ("clap", &["cli"]),
    ("reqwest", &["cli"]),
    (
        "tokio",
        &[
            "ledger",
            "feed",
            "access",
            "api",
            "transport",
            "serve",
            "hub",
            "cli",
            "main",
        ],
    ),
    (
        "axum",
        &["access", "api", "transport", "serve", "hub", "cli", "main"],
    ),
    (
        "getrandom",
        &["ledger", "access", "transport", "hub", "cli"],
    ),
];

#[test]
fn rooms_name_only_what_is_below_them() {
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    for (room, path, line) in lines() {
        let allowed = rooms.get(room.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("{room} is not in the table of rooms"));
        for named in named_after(&line, "crate::") {
            let fine = named == room || allowed.contains(&"*") || allowed.contains(&named.as_str());
            let is_room = rooms.contains_key(named.as_str());
            assert!(fine || !is_room, "{} names {named}: {line}", path.display());
        }
    }
}

#[test]
fn crates_stay_in_their_rooms() {
    for (room, path, line) in lines() {
        for (name, allowed) in CRATES {
            let named =
                line.contains(&format!("{name}::")) || line.contains(&format!("use {name};"));
            let fine = room == "lib" || allowed.contains(&room.as_str());
            assert!(fine || !named, "{} uses {name}: {line}", path.display());
        }
    }
}

#[test]
fn the_domain_asks_no_clock() {
    for (room, path, line) in lines() {
        let asks = ["Timestamp::now", "Zoned::now", "SystemTime", "Instant::now"];
        let asked = asks.iter().any(|call| line.contains(call));
        assert!(room != "domain" || !asked, "{}: {line}", path.display());
    }
}

/// The names that follow `prefix` in a line, also in `crate::{a, b::c}`.
fn named_after(line: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in line.split(prefix).skip(1) {
        let group = rest.strip_prefix('{').map_or(rest, |group| group);
        let parts: Vec<&str> = match rest.starts_with('{') {
            true => group.split(['{', ',', '}']).collect(),
            false => vec![group],
        };
        for part in parts {
            let name: String = part
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            names.push(name);
        }
    }
    names
}

/// Every line of code in `src`, outside tests and comments, with its room; `use crate::{…}` over
/// several lines is one line.
fn lines() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut lines = Vec::new();
    for path in files(&root) {
        let room = path
            .strip_prefix(&root)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let room = room
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: Vec<&str> = code
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
            .collect();
        for statement in code.join(" ").split_inclusive(';') {
            lines.push((room.clone(), path.clone(), statement.trim().to_owned()));
        }
    }
    assert!(!lines.is_empty(), "there is code to check");
    lines
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.chain(folders.iter().flat_map(|folder| self::files(folder)))
        .collect()
}
