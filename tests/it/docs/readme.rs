//! The English and the Chinese README show the same commands and code, and lead to the same documents.

use std::collections::BTreeSet;

const ENGLISH: &str = include_str!("../../../README.md");
const CHINESE: &str = include_str!("../../../README.zh-CN.md");

const FENCE: &str = "```";

/// A fenced code block.
#[derive(Debug, PartialEq)]
struct Block {
    /// What follows the opening fence, such as `sh`.
    info: &'static str,
    lines: Vec<&'static str>,
}

/// The fenced code blocks of a README, and the text around them.
fn parts(readme: &'static str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if let Some(info) = line.strip_prefix(FENCE) {
            let lines = lines.by_ref().take_while(|line| *line != FENCE).collect();
            blocks.push(Block { info, lines });
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    (blocks, prose)
}

/// The texts between an opening and a closing mark.
fn between<'a>(mut text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    while let Some((_, rest)) = text.split_once(open) {
        let (inside, rest) = rest.split_once(close).unwrap();
        found.push(inside);
        text = rest;
    }
    found
}

/// Link targets in alphabetical order: a translation may turn a sentence around.
fn links(prose: &str) -> Vec<&str> {
    let mut links = between(prose, "](", ")");
    links.sort_unstable();
    links
}

#[test]
fn readmes_have_the_same_code_blocks() {
    let ((english, _), (chinese, _)) = (parts(ENGLISH), parts(CHINESE));
    assert!(english.len() > 5, "blocks are found: {english:#?}");
    for (place, (english, chinese)) in english.iter().zip(&chinese).enumerate() {
        assert_eq!(english, chinese, "code block {}", place + 1);
    }
    assert_eq!(english.len(), chinese.len(), "number of code blocks");
}

#[test]
fn readmes_have_the_same_inline_code() {
    let ((_, english), (_, chinese)) = (parts(ENGLISH), parts(CHINESE));
    let english: BTreeSet<_> = between(&english, "`", "`").into_iter().collect();
    let chinese: BTreeSet<_> = between(&chinese, "`", "`").into_iter().collect();
    assert!(english.len() > 5, "inline code is found: {english:#?}");
    assert_eq!(english, chinese);
}

#[test]
fn readmes_link_to_each_other_and_to_the_same_documents() {
    let ((_, english), (_, chinese)) = (parts(ENGLISH), parts(CHINESE));
    let (mut english, mut chinese) = (links(&english), links(&chinese));
    take(&mut english, "README.zh-CN.md");
    take(&mut chinese, "README.md");
    assert!(english.len() > 5, "links are found: {english:#?}");
    assert_eq!(english, chinese);
}

/// Removes a link that has to be there once.
fn take(links: &mut Vec<&str>, target: &str) {
    let before = links.len();
    links.retain(|link| *link != target);
    assert_eq!(before, links.len() + 1, "links to {target}");
}
