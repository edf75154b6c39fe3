use tallycast::Position;

use crate::fuzzer::Fuzzer;

const WORDS: &[&str] = &["A", "_", "-", "=", "+", "/", "\0", "AAAAAAAA", "____", "é"];

#[test]
fn a_position_is_the_one_that_was_given_out_or_refused() {
    Fuzzer::new("positions").mutate(WORDS, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match Position::parse(text) {
            // One place has one text, or clients could not compare them.
            Ok(position) => assert_eq!(position.to_string(), text),
            Err(invalid) => assert_eq!(invalid.code(), "bad_position"),
        }
    });
}
