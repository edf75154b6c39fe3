mod checked;
mod json;
mod json_object;
mod key;
mod kind;
mod names;
mod reverses;

use std::{collections::BTreeMap, fmt};

pub(crate) use checked::CheckedEvent;
pub(crate) use json::Attributes;
#[cfg(feature = "schema")]
pub(crate) use json::EventJson;
pub(crate) use json_object::from_object;
pub use key::EventKey;
pub use kind::Kind;
pub(super) use names::{check_name, check_symbol};
pub(super) use reverses::ReversedKey;
pub use reverses::Reverses;

use crate::domain::Invalid;

/// What a producer reports, as it was sent. It is checked when it is recorded.
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

impl Event {
    /// The most bytes one event may have as JSON.
    pub const BYTES_MAX: usize = 16 * 1024;
    /// The most characters of an id or a source.
    pub const ID_CHARS_MAX: usize = names::ID_CHARS_MAX;
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
    /// The source of alerts, which only the ledger itself may use.
    pub const SOURCE_RESERVED: &'static str = "tallycast";

    /// `account` consumed `amount` of `unit`. The amount is anything that prints as a decimal.
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

    /// A correction by hand, of any sign. `description` gives the reason.
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

    /// The exact opposite of the event with the id `reverses` of the same source.
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

    /// Sets who reports. Together with the id it is the idempotency key.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// Sets what is counted; `spend` by default.
    #[must_use]
    pub fn with_meter(mut self, meter: impl Into<String>) -> Self {
        self.meter = Some(meter.into());
        self
    }

    /// Sets what it was spent on.
    #[must_use]
    pub fn with_category(mut self, category: impl Into<String>) -> Self {
        self.category = Some(category.into());
        self
    }

    /// Sets a line of text for people.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets when it happened, in RFC 3339; the time of arrival by default.
    #[must_use]
    pub fn with_time(mut self, time: impl fmt::Display) -> Self {
        self.time = Some(time.to_string());
        self
    }

    /// Adds an attribute, or replaces the one of this name.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// The account as it was sent, unchecked.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }
}

pub(crate) fn too_large() -> Invalid {
    Invalid::new("event_too_large", "an event has at most 16 KiB as JSON")
}
