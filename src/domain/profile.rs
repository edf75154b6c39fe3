use std::sync::LazyLock;

use jiff::{
    Timestamp,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Invalid;

/// The IANA time zones that this build carries; the machine's own are not asked, so that every node
/// counts the same days.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// An account's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// What to call the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose days and months totals are kept in.
    pub time_zone: Zone,
    /// Counts the edits of this profile.
    pub revision: u32,
}

/// What an edit of a profile sets; what is absent goes back to its default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileChange {
    /// The new name, at most 128 characters.
    #[serde(default)]
    pub name: Option<String>,
    /// The new IANA time zone; `UTC` where absent.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Change only the profile of this revision.
    #[serde(skip)]
    pub if_revision: Option<u32>,
}

impl ProfileChange {
    /// The most characters of a name.
    pub const NAME_CHARS_MAX: usize = 128;

    /// The profile that follows `current`.
    ///
    /// # Errors
    /// `name_too_long`, `unknown_time_zone`, `revision_mismatch`.
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
        Ok(Profile {
            name,
            time_zone: Zone::parse(self.time_zone.as_deref().unwrap_or("UTC"))?,
            revision: current.revision + 1,
        })
    }
}

/// An IANA time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone of this IANA name, such as `Asia/Shanghai`.
    ///
    /// # Errors
    /// `unknown_time_zone`.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let zone = match name {
            "UTC" => Ok(TimeZone::UTC),
            _ => ZONES.get(name),
        };
        zone.map(Self).map_err(|_| {
            let message = "a time zone is an IANA name such as Asia/Shanghai";
            Invalid::new("unknown_time_zone", message)
        })
    }

    /// Its IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The local date at an instant.
    #[must_use]
    pub fn date_of(&self, instant: Timestamp) -> Date {
        self.0.to_datetime(instant).date()
    }

    /// The first instant of a local date; for a date that the zone skipped, the one that follows.
    pub(crate) fn start_of(&self, date: Date) -> Timestamp {
        date.to_zoned(self.0.clone())
            .map_or(Timestamp::MIN, |zoned| zoned.timestamp())
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).map_err(serde::de::Error::custom)
    }
}
