//! Every link between the documents leads somewhere, and `docs/testing.md` names tests that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders without documents or tests of ours.
const SKIPPED: &[&str] = &["target", "node_modules", "dist", ".venv", ".git"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !SKIPPED.contains(&name) {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

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

#[test]
fn the_guide_to_the_tests_names_tests_that_exist() {
    let guide = fs::read_to_string(root().join("docs/testing.md")).unwrap();
    let (_, table) = guide.split_once("## What is proven where").unwrap();
    let rust: Vec<String> = ["tests", "src"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), "rs"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut count = 0;
    for name in table.split('`').skip(1).step_by(2) {
        let name = name.rsplit(": ").next().unwrap();
        let is_test = name.contains('_') && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if is_test {
            let declaration = format!("fn {name}(");
            let exists = rust.iter().any(|text| text.contains(&declaration));
            assert!(exists, "there is no test {name}");
            count += 1;
        }
    }
    assert!(count > 100, "only {count} tests were found in the table");
}
