//! What the files of `src` may import, and how they are laid out.

mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use self::sources::Sources;
use crate::support::files::{files, root};

/// Each module, and the modules below it that it may use.
const MODULES: &[(&str, &[&str])] = &[
    ("deadline", &[]),
    ("limit_report", &[]),
    ("domain", &[]),
    ("ledger", &["domain", "limit_report"]),
    ("feed", &["domain", "ledger"]),
    ("access", &["domain"]),
    ("serve", &["deadline", "limit_report"]),
    ("quota", &["domain", "access", "serve", "limit_report"]),
    (
        "http",
        &["domain", "ledger", "feed", "access", "quota", "deadline"],
    ),
    (
        "api",
        &["domain", "ledger", "feed", "access", "quota", "http"],
    ),
    (
        "transport",
        &[
            "domain",
            "ledger",
            "feed",
            "access",
            "quota",
            "http",
            "serve",
            "deadline",
            "limit_report",
        ],
    ),
    (
        "hub",
        &[
            "domain",
            "ledger",
            "feed",
            "access",
            "serve",
            "quota",
            "http",
            "api",
            "transport",
        ],
    ),
    ("schema", &["domain", "feed", "http", "api", "transport"]),
    ("cli", &["*"]),
    ("main", &["*"]),
    ("lib", &["*"]),
];

/// The layers of the Socket.IO transport, from the top: each may use those below it.
const SOCKET_IO_LAYERS: &[&str] = &["http", "feed", "session", "connection", "engine"];

/// Crates that only some modules may use.
const CRATES: &[(&str, &[&str])] = &[
    ("rusqlite", &["ledger"]),
    ("socketioxide", &["transport", "hub"]),
    ("jsonwebtoken", &["access"]),
    ("clap", &["cli"]),
    ("reqwest", &["cli"]),
    (
        "tokio",
        &[
            "deadline",
            "ledger",
            "feed",
            "access",
            "quota",
            "http",
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
        &[
            "access",
            "quota",
            "http",
            "api",
            "transport",
            "serve",
            "hub",
            "cli",
            "main",
        ],
    ),
    (
        "getrandom",
        &["ledger", "access", "transport", "hub", "cli"],
    ),
];

/// The most files in one folder: with more, a reader has to search.
const FOLDER_ENTRIES_MAX: usize = 20;

/// The most lines of a file: longer ones hold more than one noun.
const FILE_LINES_MAX: usize = 450;

/// The only folder that writes to stdout and stderr: it escapes what a terminal would obey.
const OUTPUT: &str = "cli/output";

/// Type names that several files define, and why.
const SHARED_NAMES: &[(&str, &str)] = &[];

#[test]
fn modules_use_only_what_is_below_them() {
    let sources = Sources::read(&src());
    let violation = violation(&sources);
    assert_eq!(violation, None);
}

#[test]
fn a_module_above_is_found_through_reexports_and_parents() {
    let violating = |text: &str| {
        let files = [
            (
                "lib.rs",
                "mod domain; pub mod serve; pub use domain::Invalid;",
            ),
            ("domain/mod.rs", "pub struct Invalid;"),
            ("serve/mod.rs", "mod slots;"),
            ("serve/slots.rs", text),
        ];
        violation(&Sources::parse(files.into_iter()))
    };
    for text in [
        "use crate::domain::Invalid;",
        "use crate::Invalid;",
        "pub use crate::Invalid as Bad;",
        "struct S(super::super::domain::Invalid);",
    ] {
        let found = Some("serve/slots.rs uses domain/mod.rs".to_owned());
        assert_eq!(violating(text), found, "{text}");
    }
    assert_eq!(
        violating("struct S(domain::Invalid);"),
        None,
        "another crate's"
    );
}

/// A file that uses one of a module that its own may not use.
fn violation(sources: &Sources) -> Option<String> {
    let modules: BTreeMap<_, _> = MODULES.iter().copied().collect();
    sources
        .all_imports()
        .into_iter()
        .find_map(|(file, imports)| {
            let module = module_of(file);
            let allowed = modules.get(module);
            let allowed =
                allowed.unwrap_or_else(|| panic!("{module} is not in the table of modules"));
            let above = imports.into_iter().find(|import| {
                let used = module_of(import);
                used != module && !allowed.contains(&used) && !allowed.contains(&"*")
            });
            above.map(|above| format!("{file} uses {above}"))
        })
}

/// `feed` for `feed/tail.rs`, `hub` for `hub.rs`.
fn module_of(file: &str) -> &str {
    file.split(['/', '.'])
        .next()
        .expect("a split has a first part")
}

#[test]
fn crates_stay_in_their_modules() {
    for (module, path, line) in lines() {
        for (name, allowed) in CRATES {
            let named =
                line.contains(&format!("{name}::")) || line.contains(&format!("use {name};"));
            let fine = module == "lib" || allowed.contains(&module.as_str());
            assert!(fine || !named, "{} uses {name}: {line}", path.display());
        }
    }
}

#[test]
fn the_domain_reads_no_clock() {
    for (module, path, line) in lines() {
        let calls = ["Timestamp::now", "Zoned::now", "SystemTime", "Instant::now"];
        let reads = calls.iter().any(|call| line.contains(call));
        assert!(module != "domain" || !reads, "{}: {line}", path.display());
    }
}

#[test]
fn only_the_output_folder_prints() {
    let (output, mut printing) = (src().join(OUTPUT), 0);
    for (_, path, line) in lines() {
        let is_output = path.starts_with(&output);
        printing += usize::from(is_output && prints(&line));
        assert!(is_output || !prints(&line), "{}: {line}", path.display());
    }
    assert!(printing > 0, "the check finds what prints");
}

/// Whether a line of code prints, or takes hold of what prints.
fn prints(line: &str) -> bool {
    let is_whole =
        |(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
    let has = |name: &str| line.match_indices(name).any(is_whole);
    ["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("]
        .into_iter()
        .chain(["io::stdout", "io::stderr", "stdout()", "stderr()"])
        .any(has)
}

#[test]
fn no_files_import_each_other() {
    let sources = Sources::read(&src());
    let circle = circle(&sources.imports());
    assert!(circle.is_none(), "an import circle: {}", circle.unwrap());
}

#[test]
fn a_circle_is_found_through_reexports_macros_and_inline_paths() {
    let circular = |files: &[(&str, &str)]| {
        let root = ("lib.rs", "mod a;");
        let sources = Sources::parse(files.iter().copied().chain([root]));
        circle(&sources.imports())
    };
    let facade = ("a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;");
    let c = ("a/c.rs", "use super::B; pub struct C(B);");
    let expected = Some("a/b.rs -> a/c.rs -> a/b.rs".to_owned());
    for b in [
        "use super::C; pub struct B(C);",
        "use super::c::C as Other; pub struct B(Other);",
        "pub struct B(crate::a::C);",
        "use super::c; pub struct B; fn f() -> c::C {}",
        "pub struct B; fn f() { g!(super::c::C) }",
    ] {
        assert_eq!(circular(&[facade, ("a/b.rs", b), c]), expected, "{b}");
    }
    for b in [
        "pub struct B;",
        "pub struct B; #[cfg(test)] mod tests { use super::super::C; }",
        "pub struct B; fn f(c: u8) { c }",
    ] {
        assert_eq!(circular(&[facade, ("a/b.rs", b), c]), None, "{b}");
    }
    // A parent that uses its child, and is used by it.
    let parent = ("a/mod.rs", "mod b; pub struct A(b::B);");
    let child = ("a/b.rs", "use super::A; pub struct B;");
    assert!(circular(&[parent, child]).is_some());
}

#[test]
fn the_layers_of_socket_io_use_only_those_below() {
    let sources = Sources::read(&src());
    let layer = |file: &str| {
        let rest = file.strip_prefix("transport/socketio/")?;
        let folder = rest.split('/').next()?;
        SOCKET_IO_LAYERS.iter().position(|name| *name == folder)
    };
    let imports = sources.imports();
    let folders = imports.keys().filter_map(|file| {
        let (folder, _) = file.strip_prefix("transport/socketio/")?.split_once('/')?;
        Some(folder)
    });
    let folders: BTreeSet<&str> = folders.collect();
    assert_eq!(folders, SOCKET_IO_LAYERS.iter().copied().collect());
    for (file, imports) in imports {
        let above = imports
            .iter()
            .find(|import| layer(import) < layer(file) && layer(import).is_some());
        assert_eq!(above, None, "{file} uses a layer above its own");
    }
}

#[test]
fn no_folder_is_full_and_no_file_is_long() {
    let mut entries: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for file in files(&src(), "rs") {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let name = file.display();
        assert!(lines <= FILE_LINES_MAX, "{name} has {lines} lines");
        *entries.entry(file.parent().unwrap().into()).or_default() += 1;
    }
    for (folder, entries) in entries {
        let name = folder.display();
        assert!(entries <= FOLDER_ENTRIES_MAX, "{name} has {entries} files");
    }
}

#[test]
fn a_type_name_is_defined_once() {
    let sources = Sources::read(&src());
    for (name, files) in sources.types() {
        let is_allowed = SHARED_NAMES.iter().any(|(shared, _)| *shared == name);
        assert!(
            files.len() == 1 || is_allowed,
            "{name} is defined in {files:?}: rename it, or add it to SHARED_NAMES with a reason"
        );
    }
}

/// One circle of imports, if there is any: the files in it, the first one again at the end.
fn circle(imports: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut done = BTreeSet::new();
    imports.keys().find_map(|file| {
        let mut walk = Vec::new();
        circle_from(file, imports, &mut walk, &mut done)
    })
}

fn circle_from<'a>(
    file: &'a str,
    imports: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    walk: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<String> {
    if let Some(start) = walk.iter().position(|earlier| *earlier == file) {
        let circle: Vec<&str> = walk[start..].iter().copied().chain([file]).collect();
        return Some(circle.join(" -> "));
    }
    if !done.insert(file) {
        return None;
    }
    walk.push(file);
    let imported = imports.get(file).into_iter().flatten();
    let circle = imported
        .copied()
        .find_map(|import| circle_from(import, imports, walk, done));
    walk.pop();
    circle
}

fn src() -> PathBuf {
    root().join("src")
}

/// Every line of code in `src`, outside tests and comments, with its module. A `use` over several lines is one
/// line.
fn lines() -> Vec<(String, PathBuf, String)> {
    let src = src();
    let mut lines = Vec::new();
    for path in files(&src, "rs") {
        let module = path
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let module = module
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let (code, tests) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        let item = tests.trim_start().trim_start_matches("pub(super) ");
        let is_rest = item.is_empty() || item.starts_with("mod tests");
        assert!(
            is_rest,
            "{}: tests stand at the end of a file",
            path.display()
        );
        let after = tests
            .split_once("mod tests;")
            .map_or("", |(_, after)| after);
        assert!(
            after.trim().is_empty(),
            "{}: nothing follows its tests",
            path.display()
        );
        let code: Vec<&str> = code
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
            .collect();
        for statement in code.join(" ").split_inclusive(';') {
            lines.push((module.clone(), path.clone(), statement.trim().to_owned()));
        }
    }
    assert!(!lines.is_empty(), "there is code to check");
    lines
}
