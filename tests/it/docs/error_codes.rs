//! Every error code in the sources is in `docs/protocol.md`.

use std::{collections::BTreeSet, fs};

use crate::support::files::{files, root};

/// The calls whose first string is a stable code.
const MAKERS: &[&str] = &[
    "Invalid::new(",
    "refused(",
    "Refused(",
    "bad_request(",
    "too_large(",
    "unsupported(",
    "Self::new(",
    "check_name(",
    "check_symbol(",
    // The codes of a refused CONNECT, which are bare.
    "Err(",
    "ok_or(",
];

/// The modules whose refusals a client can get.
const MODULES: &[&str] = &[
    "domain",
    "ledger",
    "feed",
    "access",
    "quota",
    "http",
    "api",
    "transport",
];

/// What looks like a code and is none: the kind of an entry, the types of messages, the status of an event.
const NOT_CODES: &[&str] = &["alert", "authenticate", "error", "history", "recorded"];

fn sources() -> Vec<String> {
    let folders = MODULES.iter().map(|module| root().join("src").join(module));
    let files = folders.flat_map(|folder| files(&folder, "rs"));
    let texts = files.map(|file| {
        let text = fs::read_to_string(file).unwrap();
        let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
        text[..tests].to_owned()
    });
    texts.collect()
}

/// The first string literal of a call, if it looks like a code.
fn code(arguments: &str) -> Option<&str> {
    let statement = arguments.split(';').next()?;
    let literal = statement.split('"').nth(1)?;
    is_code(literal).then_some(literal)
}

/// The literals in a field `code`, and those that a `code` or `name` function returns.
fn returned_codes(text: &str) -> Vec<&str> {
    let fields = text.split("code: \"").skip(1);
    let fields = fields.filter_map(|rest| rest.split('"').next());
    let functions = text.split("fn ").skip(1);
    let named = functions.filter(|f| f.starts_with("code(") || f.starts_with("name("));
    let bodies = named.filter_map(|function| function.split("\n    }").next());
    let literals = bodies.flat_map(|body| body.split('"').skip(1).step_by(2));
    literals
        .chain(fields)
        .filter(|literal| is_code(literal))
        .collect()
}

fn is_code(literal: &str) -> bool {
    !literal.is_empty() && literal.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The codes in the first two cells of the rows of all tables, or in the list of those that are in no table.
fn documented_codes(document: &str) -> BTreeSet<&str> {
    let rows = document.lines().filter_map(|line| line.strip_prefix('|'));
    let cells = rows.flat_map(|row| row.split('|').take(2));
    let listed = document
        .lines()
        .filter(|line| line.starts_with("The codes "));
    let texts = cells.chain(listed);
    texts
        .flat_map(|text| text.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_code_is_in_the_protocol_document() {
    let document = include_str!("../../../docs/protocol.md");
    let sources = sources();
    let mut codes = BTreeSet::new();
    for text in &sources {
        codes.extend(returned_codes(text));
        for maker in MAKERS {
            let calls = text.match_indices(maker);
            codes.extend(calls.filter_map(|(at, _)| code(&text[at + maker.len()..])));
        }
    }
    for not_a_code in NOT_CODES {
        assert!(
            codes.remove(not_a_code),
            "{not_a_code} is not found any more"
        );
    }
    assert!(codes.len() > 60, "too few codes found: {codes:?}");
    let documented = documented_codes(document);
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !documented.contains(*code))
        .collect();
    assert!(missing.is_empty(), "not in docs/protocol.md: {missing:?}");
}
