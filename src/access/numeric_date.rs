use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// The time of a claim (RFC 7519, section 2): seconds since 1970, perhaps with a fraction, not negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NumericDate(Duration);

impl NumericDate {
    pub(super) fn from_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A clock before 1970 reads as 1970, so it refuses tokens: their `nbf` is in the future, or their life is longer
    /// than the bound allows.
    pub(super) fn from_timestamp(now: Timestamp) -> Self {
        Self(Duration::try_from(now.as_duration()).unwrap_or(Duration::ZERO))
    }

    /// `None` if it is beyond the calendar.
    pub(super) fn timestamp(self) -> Option<Timestamp> {
        let since_1970 = SignedDuration::try_from(self.0).ok()?;
        Timestamp::from_duration(since_1970).ok()
    }

    /// How much later it is than `other`; zero if it is not.
    pub(super) fn after(self, other: Self) -> Duration {
        self.0.saturating_sub(other.0)
    }
}

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("seconds since 1970")
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<NumericDate, E> {
                Ok(NumericDate::from_seconds(seconds))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<NumericDate, E> {
                let since_1970 = Duration::try_from_secs_f64(seconds);
                since_1970.map(NumericDate).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl Serialize for NumericDate {
    /// In whole seconds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.as_secs())
    }
}
