use std::{fmt, hash::Hash, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::value::RawValue;

use super::Invalid;

const NANOS: i128 = 1_000_000_000;
const SCALE_MAX: u8 = 9;
const INTEGER_DIGITS_MAX: usize = 15;
/// A sum may be larger than the amount of one event: whatever an `i128` in 10⁻⁹ holds.
const SUM_INTEGER_DIGITS_MAX: usize = 30;

/// An exact decimal: a whole number of 10⁻⁹, and how many fraction digits to print.
///
/// Arithmetic is checked: what does not fit is refused, never rounded. Equality compares values, so
/// `1.5` equals `1.50`.
///
/// ```
/// # use tallycast::domain::Amount;
/// let price: Amount = "12.50".parse()?;
/// let sum = price.checked_add("0.125".parse()?).expect("small");
/// assert_eq!(sum.to_string(), "12.625");
/// # Ok::<(), tallycast::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        with = "String",
        description = "An exact decimal in text, such as `12.50`. Show it, or calculate with a decimal library: do not make a float of it."
    )
)]
pub struct Amount {
    nanos: i128,
    scale: u8,
}

impl Amount {
    /// Zero.
    pub const ZERO: Self = Self { nanos: 0, scale: 0 };

    /// The sum, printed with the longer fraction of the two; `None` if it overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            nanos: self.nanos.checked_add(other.nanos)?,
            scale: self.scale.max(other.scale),
        })
    }

    /// The exact opposite; `None` if it overflows.
    #[must_use]
    pub fn checked_neg(self) -> Option<Self> {
        Some(Self {
            nanos: self.nanos.checked_neg()?,
            scale: self.scale,
        })
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The value in units of 10⁻⁹.
    #[must_use]
    pub fn nanos(self) -> i128 {
        self.nanos
    }

    /// Whether it is small enough for one event: at most 15 integer digits.
    pub(crate) fn is_event_sized(self) -> bool {
        self.nanos.unsigned_abs() < 10_u128.pow(24)
    }

    /// The length of its `Display` text, in bytes.
    pub(crate) fn printed_bytes(self) -> usize {
        let integer = self.nanos.unsigned_abs() / NANOS.unsigned_abs();
        let digits = integer.checked_ilog10().unwrap_or(0) as usize + 1;
        let fraction = match usize::from(self.scale) {
            0 => 0,
            scale => 1 + scale,
        };
        usize::from(self.is_negative()) + digits + fraction
    }

    /// Reads a sum that `Display` printed: like [`FromStr`], with more integer digits.
    ///
    /// # Errors
    /// `invalid_amount`, `amount_out_of_range`.
    pub(crate) fn parse_sum(text: &str) -> Result<Self, Invalid> {
        Self::parse(text, SUM_INTEGER_DIGITS_MAX)
    }

    fn parse(text: &str, integer_digits_max: usize) -> Result<Self, Invalid> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (integer, fraction) = match digits.split_once('.') {
            Some((_, "")) => return Err(malformed()),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if integer.is_empty() || !is_digits(integer) || !is_digits(fraction) {
            return Err(malformed());
        }
        if integer.len() > 1 && integer.starts_with('0') {
            return Err(malformed());
        }
        if integer.len() > integer_digits_max || fraction.len() > usize::from(SCALE_MAX) {
            return Err(out_of_range());
        }
        // A negative number is summed up downwards: the smallest `i128` has no positive opposite.
        let sign = if negative { -1 } else { 1 };
        let mut nanos: i128 = 0;
        let padding = std::iter::repeat_n(b'0', usize::from(SCALE_MAX) - fraction.len());
        for digit in integer.bytes().chain(fraction.bytes()).chain(padding) {
            nanos = nanos
                .checked_mul(10)
                .and_then(|n| n.checked_add(sign * i128::from(digit - b'0')))
                .ok_or_else(out_of_range)?;
        }
        Ok(Self {
            nanos,
            scale: u8::try_from(fraction.len()).expect("at most 9 fraction digits"),
        })
    }
}

fn out_of_range() -> Invalid {
    Invalid::new(
        "amount_out_of_range",
        "an amount has at most 15 integer and 9 fraction digits",
    )
}

fn malformed() -> Invalid {
    Invalid::new(
        "invalid_amount",
        "an amount is a decimal such as \"12.50\": digits, an optional sign `-` and fraction, no exponent",
    )
}

impl FromStr for Amount {
    type Err = Invalid;

    /// Reads `-?digits[.digits]` with at most 15 integer and 9 fraction digits.
    ///
    /// # Errors
    /// `invalid_amount`, `amount_out_of_range`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text, INTEGER_DIGITS_MAX)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.nanos.unsigned_abs();
        let sign = if self.nanos < 0 { "-" } else { "" };
        let integer = magnitude / NANOS.unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{integer}");
        }
        let unprinted = 10_u128.pow(u32::from(SCALE_MAX - self.scale));
        let fraction = magnitude % NANOS.unsigned_abs() / unprinted;
        let width = usize::from(self.scale);
        write!(f, "{sign}{integer}.{fraction:0width$}")
    }
}

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Amount {}

impl Hash for Amount {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    /// Reads a JSON string or number. A number is read from its digits, never through a float.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse_sum(&amount_text(&raw)).map_err(D::Error::custom)
    }
}

/// The text of an amount that is a JSON string or number. Any other JSON is returned as it is, and
/// refused when it is parsed as an amount.
pub(crate) fn amount_text(raw: &RawValue) -> String {
    let text = raw.get();
    serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_read_back_as_it_was_printed() {
        let nanos = [i128::MIN, i128::MIN + 1, -1, 0, 1, i128::MAX];
        for nanos in nanos {
            let sum = Amount { nanos, scale: 9 };
            let text = sum.to_string();
            let read = Amount::parse_sum(&text).unwrap();
            assert_eq!((read, read.to_string()), (sum, text.clone()));
            assert_eq!(text.len(), sum.printed_bytes());
        }
        assert!(Amount::parse_sum("170141183460469231731687303715.884105728").is_err());
    }
}
