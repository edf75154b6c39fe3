use std::fmt;

/// An error about the caller's input: a stable code for programs, and a sentence that tells people what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    code: &'static str,
    message: String,
}

impl Invalid {
    /// An error with this `code` (stable, `snake_case`) and `message` (what to do).
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence, for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Invalid {}
