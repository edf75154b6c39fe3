/// What makes a cell a formula in some spreadsheet if it comes first, also in full width.
const STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// What hides such a start from us but not from every spreadsheet, which may drop it.
const DROPPED: [char; 3] = ['\t', '\r', '\n'];

/// A cell that no spreadsheet takes for a formula: one that could be taken for one gets an apostrophe in front, which
/// makes it text there. A decimal number is none, so negative amounts stay numbers.
///
/// An apostrophe is also added where apostrophes precede such a start, so that whoever removes one from each cell in
/// which apostrophes precede such a start has the original.
pub(super) fn without_formula(cell: String) -> String {
    match is_formula(&cell) {
        true => format!("'{cell}"),
        false => cell,
    }
}

fn is_formula(cell: &str) -> bool {
    let text = cell.trim_start_matches('\'');
    let shown = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    text.starts_with(DROPPED) || (shown.starts_with(STARTS) && !is_decimal(cell))
}

/// Digits with an optional minus sign and fraction, as the ledger writes amounts.
fn is_decimal(cell: &str) -> bool {
    let number = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    are_digits(whole) && are_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_of_a_formula_gets_an_apostrophe_and_a_number_does_not() {
        for formula in [
            "=1", "=", "+1", "+1+1", "-", "-1+1", "-1.", "-.5", "-1e5", "--1", "-1\n", "- 1",
            "@SUM(A1)", "＝1", "＋1", "－1", "＠x", "\tx", "\rx", "\nx", " =1", "\u{a0}=1", "\t=1",
            "\u{0}=1", "'=1", "''=1", "'\tx",
        ] {
            let cell = without_formula(formula.to_owned());
            assert_eq!(cell, format!("'{formula}"));
        }
        for text in [
            "",
            "a",
            "a=1",
            "1",
            "1.50",
            "-1",
            "-12.50",
            "-0.000000001",
            "0",
            "'a'",
            "'",
            " a",
            "2026-11-22",
            "1-2",
            "{\"a\":\"=1\"}",
            "é",
            "'t",
        ] {
            assert_eq!(without_formula(text.to_owned()), text);
        }
    }
}
