use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Account, Amount, EventTime, Invalid, amount::amount_text};

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
    fn name(self) -> &'static str {
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

/// Reads a JSON object. Without this, an array of a struct's fields in their order would do as well.
pub(crate) fn from_object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match json.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(json),
        _ => {
            serde_json::from_slice::<serde::de::IgnoredAny>(json)?;
            Err(serde_json::Error::custom("an object is needed"))
        }
    }
}

fn too_large() -> Invalid {
    Invalid::new("event_too_large", "an event has at most 16 KiB as JSON")
}

/// (`source`, `id`): unique per account, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventKey {
    /// Who reported; often empty.
    pub source: String,
    /// The producer's id.
    pub id: String,
}

impl EventKey {
    fn new(source: String, id: String) -> Result<Self, Invalid> {
        check_name(&id, Event::ID_CHARS_MAX, "invalid_id", "an id")?;
        if !source.is_empty() {
            check_name(&source, Event::ID_CHARS_MAX, "invalid_source", "a source")?;
        }
        Ok(Self { source, id })
    }
}

/// An event whose every field is sound; only the ledger can still refuse it.
#[derive(Debug, Clone)]
pub(crate) struct CheckedEvent {
    pub(crate) account: Account,
    pub(crate) key: EventKey,
    pub(crate) kind: Kind,
    /// `None` for a reversal: the original says.
    pub(crate) amount: Option<Amount>,
    /// Empty for a reversal: the original says.
    pub(crate) meter: String,
    pub(crate) unit: String,
    pub(crate) category: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) time: Option<EventTime>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) reverses: Option<EventKey>,
    pub(crate) fingerprint: [u8; 16],
}

impl CheckedEvent {
    fn new(event: Event) -> Result<Self, Invalid> {
        let account = Account::parse(&event.account)?;
        let key = EventKey::new(event.source, event.id)?;
        if key.source == Event::SOURCE_RESERVED {
            let message = "the source `tallycast` is reserved for alerts; name your own service";
            return Err(Invalid::new("reserved_source", message));
        }
        let kind = match event.kind.as_deref() {
            None | Some("consumption") => Kind::Consumption,
            Some("adjustment") => Kind::Adjustment,
            Some("reversal") => Kind::Reversal,
            Some(_) => {
                let message = "a kind is `consumption`, `adjustment` or `reversal`";
                return Err(Invalid::new("invalid_kind", message));
            }
        };
        let mut checked = Self {
            account,
            kind,
            amount: event.amount.as_deref().map(str::parse).transpose()?,
            meter: event.meter.unwrap_or_default(),
            unit: event.unit.unwrap_or_default(),
            category: event.category.filter(|text| !text.is_empty()),
            description: event.description.filter(|text| !text.is_empty()),
            time: event.time.as_deref().map(EventTime::parse).transpose()?,
            attributes: event.attributes,
            reverses: reversed_key(event.reverses, &key)?,
            key,
            fingerprint: [0; 16],
        };
        match kind {
            Kind::Reversal => checked.check_reversal()?,
            _ => checked.check_counted()?,
        }
        checked.check_texts()?;
        checked.fingerprint = checked.content_fingerprint();
        Ok(checked)
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const ATTRIBUTE: usize = 80;
        let texts = [&self.key.id, &self.key.source, &self.meter, &self.unit].into_iter();
        let texts = texts.chain(&self.category).chain(&self.description);
        let attributes = self
            .attributes
            .iter()
            .map(|(n, v)| ATTRIBUTE + n.len() + v.len());
        size_of::<Self>() + texts.map(String::len).sum::<usize>() + attributes.sum::<usize>()
    }

    fn check_counted(&mut self) -> Result<(), Invalid> {
        if self.reverses.is_some() {
            let message = "only an event of kind `reversal` has `reverses`";
            return Err(Invalid::new("unexpected_reverses", message));
        }
        let Some(amount) = self.amount else {
            let message = "an amount is missing: give a decimal string such as \"12.50\"";
            return Err(Invalid::new("missing_amount", message));
        };
        if self.kind == Kind::Consumption && amount.is_negative() {
            let message = "consumption is not negative: send a reversal or an adjustment";
            return Err(Invalid::new("negative_amount", message));
        }
        if self.kind == Kind::Adjustment && self.description.is_none() {
            let message = "an adjustment needs a description that says why";
            return Err(Invalid::new("missing_description", message));
        }
        if self.unit.is_empty() {
            let message = "a unit is missing: an ISO 4217 code or a unit name such as kWh";
            return Err(Invalid::new("missing_unit", message));
        }
        if self.meter.is_empty() {
            "spend".clone_into(&mut self.meter);
        }
        check_symbol(&self.unit, Event::UNIT_CHARS_MAX, "invalid_unit", "a unit")?;
        check_symbol(
            &self.meter,
            Event::METER_CHARS_MAX,
            "invalid_meter",
            "a meter",
        )
    }

    fn check_reversal(&self) -> Result<(), Invalid> {
        if self.reverses.is_none() {
            let message = "a reversal needs `reverses`: the id of the event it takes back";
            return Err(Invalid::new("missing_reverses", message));
        }
        if self.reverses.as_ref() == Some(&self.key) {
            let message = "a reversal is an event of its own: give it another id";
            return Err(Invalid::new("reverses_itself", message));
        }
        let takes_from_original =
            self.amount.is_some() || !self.meter.is_empty() || !self.unit.is_empty();
        if takes_from_original || self.category.is_some() {
            let message = "a reversal takes amount, meter, unit and category from its original: leave them out";
            return Err(Invalid::new("unexpected_field", message));
        }
        Ok(())
    }

    fn check_texts(&self) -> Result<(), Invalid> {
        self.check_size()?;
        let within = |text: &str, max: usize| text.chars().count() <= max;
        let category = self.category.as_deref().unwrap_or_default();
        if !within(category, Event::CATEGORY_CHARS_MAX) {
            let message = "a category has at most 64 characters";
            return Err(Invalid::new("category_too_long", message));
        }
        let description = self.description.as_deref().unwrap_or_default();
        if !within(description, Event::DESCRIPTION_CHARS_MAX) {
            let message = "a description has at most 500 characters";
            return Err(Invalid::new("description_too_long", message));
        }
        if self.attributes.len() > Event::ATTRIBUTES_MAX {
            let message = "an event has at most 16 attributes";
            return Err(Invalid::new("too_many_attributes", message));
        }
        let sound = self.attributes.iter().all(|(name, value)| {
            !name.is_empty()
                && within(name, Event::ATTRIBUTE_NAME_CHARS_MAX)
                && within(value, Event::ATTRIBUTE_VALUE_CHARS_MAX)
        });
        if !sound {
            let message = "an attribute's name has 1 to 64 characters, its value at most 256";
            return Err(Invalid::new("invalid_attribute", message));
        }
        Ok(())
    }

    /// An event that did not come as JSON has the same bound: all its text, escaped.
    fn check_size(&self) -> Result<(), Invalid> {
        const ESCAPED: usize = 6;
        let texts = [&self.key.id, &self.key.source, &self.meter, &self.unit].into_iter();
        let texts = texts.chain(&self.category).chain(&self.description);
        let texts = texts.chain(
            self.attributes
                .iter()
                .flat_map(|(name, value)| [name, value]),
        );
        let texts: Vec<&String> = texts.collect();
        if texts.iter().map(|text| ESCAPED * text.len()).sum::<usize>() <= Event::BYTES_MAX {
            return Ok(());
        }
        let json = serde_json::to_vec(&texts).expect("strings serialize");
        if json.len() > Event::BYTES_MAX {
            Err(too_large())
        } else {
            Ok(())
        }
    }

    /// What tells a repeated event from a conflicting one: all that was sent besides the key.
    fn content_fingerprint(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        let mut field = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        };
        field(self.kind.name());
        field(&self.amount.map_or(String::new(), |a| a.nanos().to_string()));
        field(&self.meter);
        field(&self.unit);
        field(self.category.as_deref().unwrap_or_default());
        field(self.description.as_deref().unwrap_or_default());
        let instant = self
            .time
            .as_ref()
            .map(|time| time.instant().as_nanosecond());
        field(&instant.map_or(String::new(), |nanos| nanos.to_string()));
        for key in self.reverses.iter() {
            field(&key.source);
            field(&key.id);
        }
        for (name, value) in &self.attributes {
            field(name);
            field(value);
        }
        let digest = hash.finalize();
        *digest.first_chunk().expect("SHA-256 gives 32 bytes")
    }
}

fn reversed_key(reverses: Option<Reverses>, own: &EventKey) -> Result<Option<EventKey>, Invalid> {
    let Some(Reverses { source, id }) = reverses else {
        return Ok(None);
    };
    let source = source.unwrap_or_else(|| own.source.clone());
    EventKey::new(source, id).map(Some)
}

fn check_name(text: &str, max: usize, code: &'static str, what: &str) -> Result<(), Invalid> {
    let count = text.chars().count();
    if count == 0 || count > max || text.chars().any(char::is_control) {
        let message = format!("{what} has 1 to {max} characters, none of them a control character");
        return Err(Invalid::new(code, message));
    }
    Ok(())
}

fn check_symbol(text: &str, max: usize, code: &'static str, what: &str) -> Result<(), Invalid> {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '%' | '/' | '_' | '-');
    let count = text.chars().count();
    if count == 0 || count > max || !text.chars().all(allowed) {
        let message = format!("{what} has 1 to {max} letters, digits or `.%/_-`");
        return Err(Invalid::new(code, message));
    }
    Ok(())
}

/// The JSON form of an event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "event")]
struct EventJson {
    id: String,
    #[serde(default)]
    source: Option<String>,
    account: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    amount: Option<Box<RawValue>>,
    #[serde(default)]
    unit: Option<String>,
    #[serde(default)]
    meter: Option<String>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    attributes: Option<Attributes>,
    #[serde(default)]
    reverses: Option<Reverses>,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = EventJson::deserialize(deserializer)?;
        Ok(Self {
            id: json.id,
            source: json.source.unwrap_or_default(),
            account: json.account,
            kind: json.kind,
            amount: json.amount.as_deref().map(amount_text),
            unit: json.unit,
            meter: json.meter,
            category: json.category,
            description: json.description,
            time: json.time,
            attributes: json.attributes.unwrap_or_default().0,
            reverses: json.reverses,
        })
    }
}

/// Attributes, in which a doubled name is an error instead of a silent overwrite.
#[derive(Default)]
pub(crate) struct Attributes(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut attributes = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if attributes.insert(name, value).is_some() {
                        return Err(A::Error::custom("an attribute is given twice"));
                    }
                }
                Ok(Attributes(attributes))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for Reverses {
    /// From an id, or from an object of `source` and `id`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Key {
            #[serde(default)]
            source: Option<String>,
            id: String,
        }
        struct IdOrKey;
        impl<'de> Visitor<'de> for IdOrKey {
            type Value = Reverses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event's id, or an object of `source` and `id`")
            }

            fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<Reverses, E> {
                let id = id.to_owned();
                Ok(Reverses { source: None, id })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reverses, A::Error> {
                let key = Key::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Reverses {
                    source: key.source,
                    id: key.id,
                })
            }
        }
        deserializer.deserialize_any(IdOrKey)
    }
}
