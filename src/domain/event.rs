use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{CheckedEvent, Invalid, from_object};

/// What a producer reports, as it said it. It is checked when it is recorded.
///
/// ```
/// # use tallycast::Event;
/// let event = Event::consumption("order-81723", "alice", "12.50", "CNY")
///     .with_source("shop")
///     .with_category("food")
///     .with_description("Noodle bar");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) account: String,
    pub(crate) kind: Option<String>,
    pub(crate) amount: Option<String>,
    pub(crate) unit: Option<String>,
    pub(crate) meter: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) reverses: Option<Reverses>,
}

/// The event that a reversal takes back: its id, and its source where that is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "super::entry::ReversedKey", inline)
)]
pub struct Reverses {
    /// The original's source; `None` is the reversal's own.
    pub source: Option<String>,
    /// The original's id.
    pub id: String,
}

/// What an event does to the totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Something was consumed: amount ≥ 0.
    Consumption,
    /// A correction by hand: any sign, with a description.
    Adjustment,
    /// The exact opposite of an earlier event.
    Reversal,
    /// A budget's threshold was crossed; only the ledger writes it, and totals leave it out.
    Alert,
}

impl Kind {
    /// Its name in JSON. Fingerprints are made of it: it never changes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Consumption => "consumption",
            Self::Adjustment => "adjustment",
            Self::Reversal => "reversal",
            Self::Alert => "alert",
        }
    }
}

impl Event {
    /// The most bytes one event may have as JSON.
    pub const BYTES_MAX: usize = 16 * 1024;
    /// The most characters of an id or a source.
    pub const ID_CHARS_MAX: usize = 128;
    /// The most characters of a category.
    pub const CATEGORY_CHARS_MAX: usize = 64;
    /// The most characters of a description.
    pub const DESCRIPTION_CHARS_MAX: usize = 500;
    /// The most attributes of an event.
    pub const ATTRIBUTES_MAX: usize = 16;
    /// The most characters of an attribute's name.
    pub const ATTRIBUTE_NAME_CHARS_MAX: usize = 64;
    /// The most characters of an attribute's value.
    pub const ATTRIBUTE_VALUE_CHARS_MAX: usize = 256;
    /// The most characters of a unit.
    pub const UNIT_CHARS_MAX: usize = 16;
    /// The most characters of a meter.
    pub const METER_CHARS_MAX: usize = 64;
    /// The most characters of a refusal that may quote the event.
    const REASON_CHARS_MAX: usize = 200;
    /// The source that only the ledger itself may use.
    pub const SOURCE_RESERVED: &'static str = "tallycast";

    /// `amount` of `unit` was consumed by `account`. Anything that prints as a decimal is an amount.
    pub fn consumption(
        id: impl Into<String>,
        account: impl Into<String>,
        amount: impl fmt::Display,
        unit: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            account: account.into(),
            amount: Some(amount.to_string()),
            unit: Some(unit.into()),
            ..Self::default()
        }
    }

    /// A correction by hand, of any sign; `description` says why.
    pub fn adjustment(
        id: impl Into<String>,
        account: impl Into<String>,
        amount: impl fmt::Display,
        unit: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let mut event = Self::consumption(id, account, amount, unit);
        event.kind = Some("adjustment".to_owned());
        event.description = Some(description.into());
        event
    }

    /// The exact opposite of the event `reverses` of the same source.
    pub fn reversal(
        id: impl Into<String>,
        account: impl Into<String>,
        reverses: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            account: account.into(),
            kind: Some("reversal".to_owned()),
            reverses: Some(Reverses {
                source: None,
                id: reverses.into(),
            }),
            ..Self::default()
        }
    }

    /// Who reports: with the id, the idempotency key.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// What is counted; `spend` unless said.
    #[must_use]
    pub fn with_meter(mut self, meter: impl Into<String>) -> Self {
        self.meter = Some(meter.into());
        self
    }

    /// What it was spent on.
    #[must_use]
    pub fn with_category(mut self, category: impl Into<String>) -> Self {
        self.category = Some(category.into());
        self
    }

    /// A line for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// When it happened, RFC 3339; the time of arrival unless said.
    #[must_use]
    pub fn with_time(mut self, time: impl fmt::Display) -> Self {
        self.time = Some(time.to_string());
        self
    }

    /// One more attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The account as the producer said it, unchecked.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Reads one event from JSON.
    ///
    /// # Errors
    /// `event_too_large` above 16 KiB, `malformed_json` where it is no JSON, `invalid_event` where a
    /// field is unknown, doubled or of the wrong type.
    pub fn from_json(json: &[u8]) -> Result<Self, Invalid> {
        if json.len() > Self::BYTES_MAX {
            return Err(too_large());
        }
        from_object(json).map_err(|error| {
            let (code, what) = if error.is_data() {
                ("invalid_event", "the event does not fit")
            } else {
                ("malformed_json", "the event is not JSON")
            };
            // What is quoted of the event is as long as its sender likes.
            let reason = error.to_string();
            let reason: String = reason.chars().take(Self::REASON_CHARS_MAX).collect();
            Invalid::new(code, format!("{what}: {reason}"))
        })
    }

    /// Checks every field that can be checked without the ledger.
    pub(crate) fn check(self) -> Result<CheckedEvent, Invalid> {
        CheckedEvent::new(self)
    }
}

pub(super) fn too_large() -> Invalid {
    Invalid::new("event_too_large", "an event has at most 16 KiB as JSON")
}

/// (`source`, `id`): unique per account, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EventKey {
    /// Who reported; often empty.
    pub source: String,
    /// The producer's id.
    pub id: String,
}

impl EventKey {
    pub(super) fn new(source: String, id: String) -> Result<Self, Invalid> {
        check_name(&id, "invalid_id", "an id")?;
        if !source.is_empty() {
            check_name(&source, "invalid_source", "a source")?;
        }
        Ok(Self { source, id })
    }
}

pub(super) fn check_name(text: &str, code: &'static str, what: &str) -> Result<(), Invalid> {
    let max = Event::ID_CHARS_MAX;
    let count = text.chars().count();
    if count == 0 || count > max || text.chars().any(char::is_control) {
        let message = format!("{what} has 1 to {max} characters, none of them a control character");
        return Err(Invalid::new(code, message));
    }
    Ok(())
}
