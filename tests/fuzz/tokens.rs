use tallycast::{Authorize, Jwt};

use crate::{
    fuzzer::Fuzzer,
    server::{SECRET, runtime},
};

const WORDS: &[&str] = &[
    ".",
    "..",
    "=",
    "eyJhbGciOiJub25lIn0",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLyJ9",
    "_",
    "-",
    "\u{0}",
    "eyJhbGciOiJIUzUxMiJ9",
    "eyJhbGciOiJSUzI1NiJ9",
    "e30",
];

#[test]
fn no_change_of_a_token_is_accepted() {
    let fuzzer = Fuzzer::new("tokens");
    let jwt = Jwt::hs256(SECRET).unwrap();
    let runtime = runtime();
    let accepted = |token: &str| runtime.block_on(jwt.authorize(token)).is_ok();
    let good: Vec<&str> = fuzzer
        .corpus()
        .iter()
        .filter_map(|token| std::str::from_utf8(token).ok())
        .filter(|token| accepted(token))
        .collect();
    assert!(!good.is_empty(), "one token of the corpus is good");
    fuzzer.mutate(WORDS, |input| {
        let Ok(token) = std::str::from_utf8(input) else {
            return;
        };
        assert!(!accepted(token) || good.contains(&token), "{token}");
    });
}
