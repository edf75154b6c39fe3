use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Serialize, Serializer};

use super::Invalid;

/// Whose consumption it is: 1 to 128 bytes of UTF-8 without control characters and `/`, compared
/// byte by byte. Cheap to clone.
///
/// ```
/// # use tallycast::Account;
/// assert!(Account::parse("alice").is_ok());
/// assert_eq!(Account::parse("a/b").unwrap_err().code(), "invalid_account");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline, description = "The account's name.")
)]
pub struct Account(Arc<str>);

impl Account {
    /// The most bytes an account may have.
    pub const BYTES_MAX: usize = 128;

    /// Checks an account's name.
    ///
    /// # Errors
    /// `invalid_account` when it is empty, too long, or has a control character or `/`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_valid = !text.is_empty()
            && text.len() <= Self::BYTES_MAX
            && !text.chars().any(|c| c.is_control() || c == '/');
        if is_valid {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(
                "invalid_account",
                "an account is 1 to 128 bytes of UTF-8 without control characters and `/`",
            ))
        }
    }

    /// The account as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Account {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
