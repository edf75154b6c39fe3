use jiff::Timestamp;

use super::Invalid;

/// When something was consumed: the instant, and the text it was sent as.
#[derive(Debug, Clone)]
pub(crate) struct EventTime {
    text: String,
    instant: Timestamp,
}

impl EventTime {
    /// Reads RFC 3339 (section 5.6) strictly: `2026-11-22T09:30:00+08:00`, with up to 9 fraction digits,
    /// without leap seconds.
    ///
    /// # Errors
    /// `invalid_time`.
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        if !is_rfc_3339(text.as_bytes()) {
            return Err(invalid_time());
        }
        let instant = text.parse().map_err(|_| invalid_time())?;
        Ok(Self {
            // RFC 3339 allows `t` and `z`, but not every app's parser reads them.
            text: text.to_ascii_uppercase(),
            instant,
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn instant(&self) -> Timestamp {
        self.instant
    }
}

/// Prints an instant of the ledger's own clock: RFC 3339 in UTC, to the millisecond.
pub(crate) fn print_instant(instant: Timestamp) -> String {
    format!("{instant:.3}")
}

fn invalid_time() -> Invalid {
    Invalid::new(
        "invalid_time",
        "a time is RFC 3339 with seconds and an offset, such as 2026-11-22T09:30:00+08:00",
    )
}

fn is_rfc_3339(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let Some((head, rest)) = text.split_at_checked(SHAPE.len()) else {
        return false;
    };
    let fits = |shape: &[u8], part: &[u8]| {
        shape.len() == part.len()
            && shape.iter().zip(part).all(|(s, b)| match s {
                b'd' => b.is_ascii_digit(),
                b'T' => matches!(b, b'T' | b't'),
                _ => s == b,
            })
    };
    if !fits(SHAPE, head) || head.ends_with(b"60") {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if digits == 0 || digits > 9 {
                return false;
            }
            &fraction[digits..]
        }
        None => rest,
    };
    match rest {
        b"Z" | b"z" => true,
        [b'+' | b'-', offset @ ..] => {
            fits(b"dd:dd", offset) && matches!(offset, [b'0' | b'1', ..] | [b'2', b'0'..=b'3', ..])
        }
        _ => false,
    }
}
