use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::domain::{Event, Invalid, Reverses, amount_text, event::too_large, from_object};

/// The most characters of an error message that may quote the event.
const REASON_CHARS_MAX: usize = 200;

/// What a producer reports, as the body of `POST /v1/events`. Sent twice, it counts once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename = "event")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "EventInput")
)]
pub(crate) struct EventJson {
    /// Yours: 1 to 128 characters. With `source` it is what a repetition is known by, for ever.
    id: String,
    /// Who reports; empty unless given.
    #[serde(default)]
    source: Option<String>,
    /// Whose consumption it is: 1 to 128 bytes.
    account: String,
    /// What it does to the totals; `consumption` unless given.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = ["consumption", "adjustment", "reversal", null])))]
    kind: Option<String>,
    /// How much: a decimal in text, or a number, which is read from its digits. Not in a reversal.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>", extend("type" = ["string", "number", "null"])))]
    amount: Option<Box<RawValue>>,
    /// In what: an ISO 4217 code or a unit's name. Not in a reversal.
    #[serde(default)]
    unit: Option<String>,
    /// What is counted; `spend` unless given.
    #[serde(default)]
    meter: Option<String>,
    /// On what: at most 64 characters.
    #[serde(default)]
    category: Option<String>,
    /// A line for people; an adjustment needs one.
    #[serde(default)]
    description: Option<String>,
    /// When it happened: RFC 3339 with an offset; the arrival unless given.
    #[serde(default)]
    time: Option<String>,
    /// Up to 16 strings of your own.
    #[serde(default)]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<BTreeMap<String, String>>")
    )]
    attributes: Option<Attributes>,
    /// In a reversal only: the original's `id`, or its `source` and `id`.
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

/// Attributes. A repeated name is an error; serde's own map would silently keep the last value.
#[derive(Default)]
pub(crate) struct Attributes(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AttributesVisitor;
        impl<'de> Visitor<'de> for AttributesVisitor {
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
        deserializer.deserialize_map(AttributesVisitor)
    }
}

impl Event {
    /// Reads one event from JSON.
    ///
    /// # Errors
    /// `event_too_large` above 16 KiB, `malformed_json` if it is not JSON, `invalid_event` if a field
    /// is unknown, repeated or of the wrong type.
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
            // The message may quote the event, at any length that the sender chose.
            let reason = error.to_string();
            let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
            Invalid::new(code, format!("{what}: {reason}"))
        })
    }
}
