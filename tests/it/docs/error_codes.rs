//! Every error code in the sources is in `docs/protocol.md`.

use std::{collections::BTreeSet, fs, path::Path};

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
];

/// The modules whose refusals a client can get.
const MODULES: &[&str] = &[
    "domain",
    "ledger",
    "feed",
    "access",
    "http",
    "api",
    "transport",
];

fn sources() -> Vec<String> {
    let mut texts = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<_> = MODULES.iter().map(|module| root.join(module)).collect();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(path).unwrap();
                let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
                texts.push(text[..tests].to_owned());
            }
        }
    }
    texts
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
    assert!(codes.len() > 60, "too few codes found: {codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !document.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "not in docs/protocol.md: {missing:?}");
}
