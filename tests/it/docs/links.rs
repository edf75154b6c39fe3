//! Every link between the documents leads somewhere, and the tests that `docs/testing.md` and `docs/security.md` name exist.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::support::files::{files, root};

/// A document's lines outside of code blocks.
fn prose(text: &str) -> String {
    let mut is_code = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of the links `[…](target)` within the repository.
fn targets(prose: &str) -> Vec<&str> {
    let after = prose.split("](").skip(1);
    let targets = after.filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let prose = prose(text);
    let headings = prose.lines().filter_map(|line| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim().to_lowercase())
    });
    let slug = |heading: String| {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for document in files(root(), "md") {
        let text = fs::read_to_string(&document).unwrap();
        for target in targets(&prose(&text)) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let name = document.display();
            assert!(
                file.exists(),
                "{name} links to {target}, which is not there"
            );
            if !anchor.is_empty() && file.extension().is_some_and(|e| e == "md") {
                let anchors = anchors(&fs::read_to_string(&file).unwrap());
                assert!(anchors.contains(anchor), "{name}: no heading {target}");
            }
        }
    }
}

/// The quoted texts of a cell that names tests of the page.
fn quoted_titles(cell: &str) -> Vec<&str> {
    let tests = cell.split_once("`page:").map_or("", |(_, tests)| tests);
    tests.split('"').skip(1).step_by(2).collect()
}

/// The texts of all files in a folder with this extension.
fn read(folder: &str, extension: &str) -> Vec<String> {
    let files = files(&root().join(folder), extension).into_iter();
    let texts = files.map(|file| fs::read_to_string(file).unwrap());
    texts.collect()
}

/// Asserts that the tests that a table names exist; returns how many it names. Names are in backticks; one without a
/// prefix is in the binary `it`.
fn assert_tests_exist(table: &str) -> usize {
    let idle = vec![fs::read_to_string(root().join("tests/idle.rs")).unwrap()];
    let binaries = BTreeMap::from([
        ("it", read("tests/it", "rs")),
        ("lib", read("src", "rs")),
        ("clients", read("tests/clients", "rs")),
        ("faults", read("tests/faults", "rs")),
        ("fuzz", read("tests/fuzz", "rs")),
        ("idle", idle),
    ]);
    let mut count = 0;
    for name in table.split('`').skip(1).step_by(2) {
        let (binary, name) = name.split_once(": ").unwrap_or(("it", name));
        let Some(texts) = binaries.get(binary) else {
            continue;
        };
        let name = name.rsplit("::").next().unwrap();
        let is_word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let declaration = match binary {
            "faults" => format!("name: \"{name}\""),
            _ if is_word && name.contains('_') => format!("fn {name}("),
            _ => continue,
        };
        let exists = texts.iter().any(|text| text.contains(&declaration));
        assert!(exists, "there is no test {binary}: {name}");
        count += 1;
    }
    count
}

#[test]
fn the_guide_to_the_tests_names_tests_that_exist() {
    let guide = fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let (_, table) = guide.split_once("## What is proven where").unwrap();
    let count = assert_tests_exist(table);
    let page = read("tests/page", "js").concat();
    for cell in table.lines().flat_map(|line| line.split('|')) {
        for title in quoted_titles(cell) {
            assert!(
                page.contains(title),
                "there is no test {title:?} of the page"
            );
        }
    }
    assert!(count > 100, "only {count} tests were found in the table");
}

#[test]
fn the_tables_of_bad_input_name_tests_that_exist() {
    let guide = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (_, section) = guide.split_once("## Bad input").unwrap();
    let section = section.split("\n## ").next().unwrap();
    // The last cell of a row names its tests; other cells quote inputs and codes.
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let rows =
        rows.filter(|row| !row.starts_with("| bad input |") && !row.starts_with("| advisory |"));
    let mut count = 0;
    for row in rows {
        let tests = row
            .trim_end_matches([' ', '|'])
            .rsplit(" | ")
            .next()
            .unwrap();
        let named = assert_tests_exist(tests);
        assert!(named > 0, "no test is named in {row}");
        count += named;
    }
    assert!(count > 50, "only {count} tests were found in the tables");
}
