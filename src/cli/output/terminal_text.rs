use std::fmt::{self, Write};

/// Text from elsewhere, with the characters escaped that a terminal obeys instead of showing them: control characters
/// (line ends too, which could forge a line) and those that change the direction of the text.
///
/// An escape is written as in a JSON or TOML string, `\u001b`, so that JSON stays valid.
pub(in crate::cli) struct TerminalText<T>(pub(in crate::cli) T);

impl<T: fmt::Display> fmt::Display for TerminalText<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(EscapingWriter(f), "{}", self.0)
    }
}

/// Escapes what is written to it.
struct EscapingWriter<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for EscapingWriter<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_obeyed) {
            self.0.write_str(&rest[..at])?;
            let mut after = rest[at..].chars();
            let obeyed = after.next().expect("one was found here");
            match obeyed {
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                _ => write!(self.0, "\\u{:04x}", u32::from(obeyed))?,
            }
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Whether a terminal may do something else with this character than to show it. All of them have four hex digits.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character,
            // Marks, embeddings, overrides and isolates of the text's direction.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Ends of lines and paragraphs.
            | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_and_every_direction_is_escaped_and_nothing_else() {
        let is_direction =
            |code| matches!(code, 0x61c | 0x200e | 0x200f | 0x2028..=0x202e | 0x2066..=0x2069);
        for code in (0..=u32::from(char::MAX)).filter(|code| char::from_u32(*code).is_some()) {
            let is_control = matches!(code, 0..0x20 | 0x7f..0xa0);
            let character = char::from_u32(code).unwrap();
            let shown = TerminalText(character).to_string();
            match is_control || is_direction(code) {
                true => assert!(shown.is_ascii() && !shown.contains(character), "{shown:?}"),
                false => assert_eq!(shown, character.to_string()),
            }
        }
    }

    #[test]
    fn an_escape_is_json() {
        let text = "a\u{0}\u{1b}[31m\r\n\tb\u{9b}\u{202e}\u{61c}ü🍜";
        let shown = TerminalText(text).to_string();
        assert_eq!(
            shown,
            "a\\u0000\\u001b[31m\\r\\n\\tb\\u009b\\u202e\\u061cü🍜"
        );
        let back: String = serde_json::from_str(&format!("\"{shown}\"")).unwrap();
        assert_eq!(back, text);
    }
}
