use std::sync::LazyLock;

use jiff::{
    Timestamp,
    civil::{Date, Time},
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Invalid;

/// The IANA time zones in this build. The machine's own are not used: every machine must count the same
/// days.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// An IANA time zone.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone with this IANA name, such as `Asia/Shanghai`, in IANA's own spelling.
    ///
    /// # Errors
    /// `unknown_time_zone`.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let zone = match name {
            "UTC" => Ok(TimeZone::UTC),
            _ => ZONES.get(name),
        };
        // The library also takes other cases, and a name of its own for a zone that nobody knows.
        let zone = zone.map(Self).ok().filter(|zone| zone.name() == name);
        zone.ok_or_else(|| {
            let message =
                "a time zone is an IANA name in its exact spelling, such as Asia/Shanghai";
            Invalid::new("unknown_time_zone", message)
        })
    }

    /// The names of all zones that [`parse`](Self::parse) knows.
    pub fn names() -> impl Iterator<Item = String> {
        ZONES.available().map(|name| name.as_str().to_owned())
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

    /// The first instant after `now` with another local date.
    ///
    /// It looks at each transition of the zone instead of the next midnight: a date may begin at 01:00, be
    /// skipped, or be interrupted by a clock that is set back over midnight.
    #[must_use]
    pub fn date_ends_at(&self, now: Timestamp) -> Timestamp {
        let date = self.date_of(now);
        let Ok(tomorrow) = date.tomorrow() else {
            return Timestamp::MAX;
        };
        let mut since = now;
        loop {
            let midnight = tomorrow.to_datetime(Time::midnight());
            let midnight = self.0.to_offset(since).to_timestamp(midnight);
            let midnight = midnight.unwrap_or(Timestamp::MAX);
            let transition = self.0.following(since).next().map(|next| next.timestamp());
            match transition.filter(|transition| *transition <= midnight) {
                Some(transition) if self.date_of(transition) != date => return transition,
                Some(transition) => since = transition,
                None => return midnight,
            }
        }
    }

    /// The earliest local date of `now` and all later instants. It is today, except shortly after a midnight
    /// over which the clock is about to be set back.
    pub(crate) fn oldest_date(&self, now: Timestamp) -> Date {
        let next = self.date_of(self.date_ends_at(now));
        self.date_of(now).min(next)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn a_date_ends_where_its_zone_says() {
        for (zone, now, end) in [
            ("UTC", "2026-11-25T10:00:00Z", "2026-11-26T00:00:00Z"),
            (
                "Asia/Kathmandu",
                "2026-11-25T00:00:00Z",
                "2026-11-25T18:15:00Z",
            ),
            // Sunday begins at 01:00.
            (
                "Africa/Cairo",
                "2026-04-23T12:00:00Z",
                "2026-04-23T22:00:00Z",
            ),
            // Saturday has 25 hours: 24:00 becomes 23:00.
            (
                "America/Santiago",
                "2026-04-04T12:00:00Z",
                "2026-04-05T04:00:00Z",
            ),
            // There was no 30 December 2011.
            (
                "Pacific/Apia",
                "2011-12-29T12:00:00Z",
                "2011-12-30T10:00:00Z",
            ),
            // At 00:01 on 7 November it became 23:01 on the 6th, for the second time.
            (
                "America/St_Johns",
                "2010-11-06T12:00:00Z",
                "2010-11-07T02:30:00Z",
            ),
            (
                "America/St_Johns",
                "2010-11-07T02:30:30Z",
                "2010-11-07T02:31:00Z",
            ),
            (
                "America/St_Johns",
                "2010-11-07T02:31:00Z",
                "2010-11-07T03:30:00Z",
            ),
        ] {
            let zone = Zone::parse(zone).unwrap();
            assert_eq!(
                zone.date_ends_at(at(now)),
                at(end),
                "{} at {now}",
                zone.name()
            );
        }
    }

    #[test]
    fn a_date_that_comes_again_is_not_over() {
        let zone = Zone::parse("America/St_Johns").unwrap();
        let oldest = |now| zone.oldest_date(at(now)).to_string();
        assert_eq!(oldest("2010-11-07T02:29:59Z"), "2010-11-06");
        assert_eq!(oldest("2010-11-07T02:30:30Z"), "2010-11-06");
        assert_eq!(oldest("2010-11-07T03:30:00Z"), "2010-11-07");
    }
}
