use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Event, Reverses, amount::amount_text};

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
