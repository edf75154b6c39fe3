use serde::{Deserialize, Serialize};

use super::{Budget, Invalid, Zone};

/// An account's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Profile {
    /// What to call the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose days and months totals are kept in.
    pub time_zone: Zone,
    /// What the customer means to stay within.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// Counts the edits of this profile.
    pub revision: u32,
}

/// An edit of a profile. It sets every field: an absent one is reset to its default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfileChange {
    /// The new name, at most 128 characters.
    pub name: Option<String>,
    /// The new IANA time zone; `UTC` by default.
    pub time_zone: Option<String>,
    /// The new budgets, at most 32, all with different ids.
    pub budgets: Vec<Budget>,
    /// Edit only if the profile still has this revision.
    pub if_revision: Option<u32>,
}

impl ProfileChange {
    /// The most characters of a name.
    pub const NAME_CHARS_MAX: usize = 128;

    /// The new time zone.
    ///
    /// # Errors
    /// `unknown_time_zone`.
    pub(crate) fn zone(&self) -> Result<Zone, Invalid> {
        Zone::parse(self.time_zone.as_deref().unwrap_or("UTC"))
    }

    /// The profile after this edit of `current`.
    ///
    /// # Errors
    /// `name_too_long`, `unknown_time_zone`, `revision_mismatch`, `too_many_budgets`, `invalid_budget`.
    pub(crate) fn apply(&self, current: &Profile) -> Result<Profile, Invalid> {
        if self
            .if_revision
            .is_some_and(|revision| revision != current.revision)
        {
            let message = "the profile was edited meanwhile: read it again";
            return Err(Invalid::new("revision_mismatch", message));
        }
        let name = self.name.clone().filter(|name| !name.is_empty());
        if name.as_deref().unwrap_or_default().chars().count() > Self::NAME_CHARS_MAX {
            return Err(Invalid::new(
                "name_too_long",
                "a name has at most 128 characters",
            ));
        }
        let mut budgets = self.budgets.clone();
        Budget::check_all(&mut budgets)?;
        Ok(Profile {
            name,
            time_zone: self.zone()?,
            budgets,
            revision: current.revision + 1,
        })
    }
}
