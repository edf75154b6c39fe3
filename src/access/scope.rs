use std::fmt;

use crate::domain::Invalid;

/// One kind of action that a caller may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Read feeds, history and profiles.
    Watch,
    /// Record events.
    Record,
    /// Push ephemeral events to Socket.IO rooms.
    Push,
    /// Edit profiles and erase accounts.
    Admin,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Watch, Self::Record, Self::Push, Self::Admin];

    /// Its word in a token: `watch`, `record`, `push` or `admin`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Record => "record",
            Self::Push => "push",
            Self::Admin => "admin",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }

    fn bit(self) -> u8 {
        match self {
            Self::Watch => 1,
            Self::Record => 2,
            Self::Push => 4,
            Self::Admin => 8,
        }
    }
}

/// A set of [`Scope`]s. No scope implies another: to watch, `admin` also needs `watch`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Reads scopes that a person wrote: words with spaces between.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if a word is not one of the four: a typing error on the command line must not make a token that
    /// silently lacks a scope.
    pub fn parse(words: &str) -> Result<Self, Invalid> {
        words
            .split_ascii_whitespace()
            .map(|word| {
                Scope::parse(word).ok_or_else(|| {
                    Invalid::new(
                        "bad_scope",
                        format!("{word:?} is not a scope; use watch, record, push or admin"),
                    )
                })
            })
            .collect()
    }

    /// Reads the scopes of a token, and ignores unknown words, which grant nothing: identity providers add `openid` or
    /// `profile`.
    pub(super) fn known_in(words: &str) -> Self {
        words
            .split_ascii_whitespace()
            .filter_map(Scope::parse)
            .collect()
    }

    /// Whether it contains `scope`.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Self {
        Self(scope.bit())
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl<const N: usize> From<[Scope; N]> for Scopes {
    fn from(scopes: [Scope; N]) -> Self {
        scopes.into_iter().collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for scope in Scope::ALL {
            if self.contains(scope) {
                write!(f, "{space}{}", scope.as_str())?;
                space = " ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}
