use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Event, Reverses, amount::amount_text};

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
