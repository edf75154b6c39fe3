use tallycast::domain::Amount;

use crate::fuzzer::Fuzzer;

const WORDS: &[&str] = &[
    "-",
    "+",
    ".",
    "0",
    "00",
    "9",
    "e",
    "E9",
    "_",
    " ",
    ",",
    "\u{660}",
    "999999999999999",
];

/// A decimal as the protocol document describes it, in 10^-9: a sign, at most 15 integer digits without zeros in front,
/// at most 9 fraction digits, and no exponent.
fn nanos(text: &str) -> Option<i128> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (integer, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !integer.is_empty() && are_digits(integer) && are_digits(fraction);
    let has_zeros_in_front = integer.len() > 1 && integer.starts_with('0');
    if !is_number || has_zeros_in_front || integer.len() > 15 || fraction.len() > 9 {
        return None;
    }
    let nanos: i128 = format!("{integer}{fraction:0<9}").parse().unwrap();
    Some(if is_negative { -nanos } else { nanos })
}

#[test]
fn an_amount_is_read_as_written_or_refused() {
    Fuzzer::new("amounts").mutate(WORDS, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let amount = text.parse::<Amount>().ok();
        assert_eq!(amount.map(Amount::nanos), nanos(text), "{text:?}");
        if let Some(amount) = amount {
            let shown = amount.to_string();
            assert_eq!(
                shown.parse::<Amount>().unwrap().nanos(),
                amount.nanos(),
                "{shown}"
            );
            assert!(
                shown != "-0" && !shown.starts_with("-0.0000000000"),
                "{shown}"
            );
        }
    });
}
