use std::sync::LazyLock;

use jiff::{
    SignedDuration, Timestamp,
    civil::{self, DateTime},
    fmt::temporal::{DateTimeParser, Pieces},
    tz::{TimeZone, TimeZoneDatabase},
};

/// The IANA time zones in this build, as in the server: not the machine's own.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The value of a time cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowTime {
    /// A date without a time of day: this date in the account's time zone.
    Day(civil::Date),
    /// A time of day without an offset: in the account's time zone.
    Local(DateTime),
    Instant(Timestamp),
}

/// The time zone in which an account counts its days.
#[derive(Debug, Clone)]
pub(super) enum RowZone {
    Known(TimeZone),
    Unknown,
}

/// The shape of a date, and of the time of day behind it.
const DATE: &[u8] = b"dddd-dd-dd";
const BASIC_DATE: &[u8] = b"dddddddd";
const TIME: &[u8] = b"Tdd:dd";

/// A step that visits every second of a day once before it returns to the first (it has no factor in common with
/// 86,400). It is close to a day divided by the golden ratio, so that a few consecutive rows are far apart.
const DAY_STEP_SECONDS: i128 = 53_401;

/// The hour in UTC of a date in an unknown time zone: from 11:00 to 12:00 it is the same date everywhere from UTC-11 to
/// UTC+12. No other hour fits as many zones.
const SHARED_HOUR: i8 = 11;
const HOUR_SECONDS: i64 = 3_600;

impl RowTime {
    /// Reads a date, or a date and time, both in one shape only: what is read in another one may be a time that nobody
    /// wrote.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        read(text).ok_or_else(|| {
            format!(
                "the time `{text}` cannot be read: write a date as 1997-01-31, or with a time of day as \
                 1997-01-31T09:30:00Z, 1997-01-31T09:30:00[Europe/Berlin], or 1997-01-31T09:30:00 in the account's \
                 time zone"
            )
        })
    }

    /// The date, if there is no time of day.
    pub(super) fn day(self) -> Option<civil::Date> {
        match self {
            Self::Day(date) => Some(date),
            Self::Local(_) | Self::Instant(_) => None,
        }
    }

    /// Whether it depends on the account's time zone.
    pub(super) fn is_local(self) -> bool {
        !matches!(self, Self::Instant(_))
    }

    /// The instant. A date without a time of day gets one that depends only on the row's number and the time zone, so
    /// that rows keep their events when the file grows.
    pub(super) fn instant(self, row: u64, zone: &RowZone) -> Timestamp {
        match (self, zone) {
            (Self::Instant(instant), _) => instant,
            (Self::Day(date), RowZone::Known(zone)) => {
                let (start, end) = day(date, zone);
                spread(row, start, end.duration_since(start).as_secs())
            }
            (Self::Day(date), RowZone::Unknown) => {
                let start = date.at(SHARED_HOUR, 0, 0, 0);
                spread(row, instant(start, &TimeZone::UTC), HOUR_SECONDS)
            }
            (Self::Local(time), RowZone::Known(zone)) => instant(time, zone),
            (Self::Local(time), RowZone::Unknown) => instant(time, &TimeZone::UTC),
        }
    }
}

/// The zone with this IANA name.
pub(super) fn zone(name: &str) -> Result<TimeZone, String> {
    // jiff knows `Etc/Unknown`, which behaves like UTC.
    let zone = ZONES.get(name).ok().filter(|zone| !zone.is_unknown());
    zone.ok_or_else(|| {
        format!("the time zone `{name}` is not known: write an IANA name such as Asia/Shanghai")
    })
}

fn read(text: &str) -> Option<RowTime> {
    if fits(BASIC_DATE, text) {
        return text.parse().ok().map(RowTime::Day);
    }
    let (date, time) = text.split_at_checked(DATE.len())?;
    if !fits(DATE, date) {
        return None;
    }
    if time.is_empty() {
        return date.parse().ok().map(RowTime::Day);
    }
    if !fits(TIME, time.get(..TIME.len())?) {
        return None;
    }
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        // Also checks that the offset, if there is one, is the zone's.
        let zoned = DateTimeParser::new().parse_zoned_with(&ZONES, text);
        let zoned = zoned.ok().filter(|zoned| !zoned.time_zone().is_unknown());
        return zoned.map(|zoned| RowTime::Instant(zoned.timestamp()));
    }
    match pieces.offset() {
        Some(_) => text.parse().ok().map(RowTime::Instant),
        None => Some(RowTime::Local(pieces.date().to_datetime(pieces.time()?))),
    }
}

/// Whether a text has this shape, in which `d` is a digit and `T` separates date and time.
fn fits(shape: &[u8], text: &str) -> bool {
    let pairs = || shape.iter().zip(text.bytes());
    shape.len() == text.len()
        && pairs().all(|(shape, byte)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b't' | b' '),
            _ => *shape == byte,
        })
}

/// The instants between which it is this date in the zone, without an hour at either end that is another date too: where
/// a clock is set back over midnight, a date has two beginnings. A date that the zone has skipped is empty.
fn day(date: civil::Date, zone: &TimeZone) -> (Timestamp, Timestamp) {
    let midnight = |date: civil::Date| zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0));
    let start = midnight(date).later().unwrap_or(Timestamp::MAX);
    let end = date.tomorrow().and_then(|date| midnight(date).earlier());
    (start, end.unwrap_or(Timestamp::MAX))
}

fn instant(time: DateTime, zone: &TimeZone) -> Timestamp {
    let time = zone.to_ambiguous_timestamp(time).compatible();
    time.unwrap_or(Timestamp::MAX)
}

/// One of the seconds from `start` on, by the row's number.
fn spread(row: u64, start: Timestamp, seconds: i64) -> Timestamp {
    let second = i128::from(row) * DAY_STEP_SECONDS % i128::from(seconds.max(1));
    let second = i64::try_from(second).expect("it is less than `seconds`");
    start
        .saturating_add(SignedDuration::from_secs(second))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        let read = |text: &str| RowTime::parse(text).unwrap();
        let instant = |text: &str| RowTime::Instant(text.parse().unwrap());
        let day = RowTime::Day(civil::date(2024, 1, 31));
        assert_eq!(read("2024-01-31"), day);
        assert_eq!(read("20240131"), day);
        for (text, expected) in [
            ("2024-01-31T09:30Z", "2024-01-31T09:30:00Z"),
            ("2024-01-31t09:30:00z", "2024-01-31T09:30:00Z"),
            ("2024-01-31 09:30:00.25+08:00", "2024-01-31T01:30:00.25Z"),
            ("2024-01-31 09:30:00+00", "2024-01-31T09:30:00Z"),
            ("2024-01-31T09:30[America/New_York]", "2024-01-31T14:30:00Z"),
            (
                "2024-01-31T09:30-05:00[America/New_York]",
                "2024-01-31T14:30:00Z",
            ),
            (
                "2024-07-31T09:30:00[America/New_York]",
                "2024-07-31T13:30:00Z",
            ),
        ] {
            assert_eq!(read(text), instant(expected), "{text}");
        }
        let local = RowTime::Local(civil::date(2024, 1, 31).at(9, 30, 0, 0));
        assert_eq!(read("2024-01-31 09:30"), local);
        assert_eq!(read("2024-01-31T09:30:00"), local);
    }

    #[test]
    fn no_time_is_made_of_what_is_written_otherwise() {
        for text in [
            "",
            "2024",
            "2024-01",
            "2024-1-31",
            "31.01.2024",
            "2024-02-30",
            "2024-W05-3",
            "2024-031",
            "20240132",
            "20240131T093000",
            "20240131T09:30:00",
            "2024-01-31T0930",
            "2024-01-31T093000Z",
            "2024-01-31 09",
            "2024-01-31T09Z",
            "2024-01-31T",
            "2024-01-31T9:30",
            "2024-01-31T09:3",
            "2024-01-31T09:3000",
            "2024-01-31T09:30:0",
            "2024-01-31T24:00",
            "2024-01-31T09:60",
            "2024-01-31 09:30 PM",
            "2024-01-31x",
            "2024-01-31Z",
            "2024-01-31[Europe/Berlin]",
            "2024-01-31T09:30+99:00",
            "2024-01-31T09:30[Nowhere/Land]",
            "2024-01-31T09:30+08:00[America/New_York]",
            "2024-01-31T09:30[Etc/Unknown]",
            "2024-01-31T09:30  Z",
            "+002024-01-31",
            "45322",
            "2024-01-31T09:30Z, or later",
            "２０２４-01-31",
        ] {
            let error = RowTime::parse(text).expect_err(text);
            assert!(error.starts_with(&format!("the time `{text}` cannot be read: ")));
        }
    }

    #[test]
    fn a_date_stays_this_date_in_every_zone_and_year() {
        let dates = [
            "1997-01-31",
            "2010-11-06",
            "2010-11-07",
            "2024-02-29",
            "2024-03-10",
            "2024-11-03",
            "2026-04-24",
        ];
        for name in tallycast::domain::Zone::names() {
            let tz = zone(&name).unwrap();
            for date in dates {
                let date: civil::Date = date.parse().unwrap();
                for row in 0..50 {
                    let instant = RowTime::Day(date).instant(row, &RowZone::Known(tz.clone()));
                    assert_eq!(tz.to_datetime(instant).date(), date, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_date_that_a_zone_skipped_is_the_moment_at_which_it_did() {
        let apia = RowZone::Known(zone("Pacific/Apia").unwrap());
        let skipped = RowTime::Day(civil::date(2011, 12, 30));
        let expected = "2011-12-30T10:00:00Z".parse().unwrap();
        assert_eq!(skipped.instant(7, &apia), expected);
    }

    #[test]
    fn a_date_in_an_unknown_zone_is_the_same_date_nearly_everywhere() {
        let date = civil::date(2024, 1, 31);
        for row in 0..5_000 {
            let instant = RowTime::Day(date).instant(row, &RowZone::Unknown);
            for zone in [
                "Pacific/Pago_Pago",
                "America/New_York",
                "UTC",
                "Asia/Shanghai",
                "Australia/Sydney",
            ] {
                let zone = super::zone(zone).unwrap();
                assert_eq!(zone.to_datetime(instant).date(), date);
            }
        }
    }

    #[test]
    fn the_last_date_does_not_overflow() {
        for zone in ["Pacific/Pago_Pago", "UTC", "Pacific/Kiritimati"] {
            for date in [civil::Date::MIN, civil::Date::MAX] {
                let zone = RowZone::Known(super::zone(zone).unwrap());
                for time in [RowTime::Day(date), RowTime::Local(date.at(23, 59, 59, 0))] {
                    time.instant(u64::MAX, &zone);
                    time.instant(u64::MAX, &RowZone::Unknown);
                }
            }
        }
    }
}
