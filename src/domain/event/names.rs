//! Rules for the short texts that identify something: ids, sources, units and meters.

use crate::domain::Invalid;

/// The most characters of an id or a source.
pub(crate) const ID_CHARS_MAX: usize = 128;

/// Checks an id or a source.
///
/// # Errors
/// `code`, if the text is empty, too long or has a control character.
pub(crate) fn check_name(text: &str, code: &'static str, what: &str) -> Result<(), Invalid> {
    let max = ID_CHARS_MAX;
    let count = text.chars().count();
    if count == 0 || count > max || text.chars().any(char::is_control) {
        let message = format!("{what} has 1 to {max} characters, none of them a control character");
        return Err(Invalid::new(code, message));
    }
    Ok(())
}

/// Checks a unit or a meter.
///
/// # Errors
/// `code`, if the text is empty, longer than `max` characters or has another character than
/// letters, digits and `.%/_-`.
pub(crate) fn check_symbol(
    text: &str,
    max: usize,
    code: &'static str,
    what: &str,
) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '%' | '/' | '_' | '-');
    let count = text.chars().count();
    if count == 0 || count > max || !text.chars().all(allowed) {
        let message = format!("{what} has 1 to {max} letters, digits or `.%/_-`");
        return Err(Invalid::new(code, message));
    }
    Ok(())
}
