//! How a reversal names its original, as it is sent and as it is stored.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeStruct,
};

use crate::domain::EventKey;

/// The event that a reversal takes back: its id, and its source where that is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "ReversedKey", inline)
)]
pub struct Reverses {
    /// The original's source; `None` is the reversal's own.
    pub source: Option<String>,
    /// The original's id.
    pub id: String,
}

impl<'de> Deserialize<'de> for Reverses {
    /// From an id, or from an object of `source` and `id`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct OriginalKey {
            #[serde(default)]
            source: Option<String>,
            id: String,
        }
        struct ReversesVisitor;
        impl<'de> Visitor<'de> for ReversesVisitor {
            type Value = Reverses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event's id, or an object of `source` and `id`")
            }

            fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<Reverses, E> {
                let id = id.to_owned();
                Ok(Reverses { source: None, id })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reverses, A::Error> {
                let key =
                    OriginalKey::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Reverses {
                    source: key.source,
                    id: key.id,
                })
            }
        }
        deserializer.deserialize_any(ReversesVisitor)
    }
}

/// What a reversal takes back: an id of the same source, or a whole key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(inline, untagged)
)]
pub(crate) enum ReversedKey {
    /// An event of the reversal's own source.
    SameSource(String),
    /// An event of another source.
    Other(EventKey),
}

impl Serialize for ReversedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SameSource(id) => serializer.serialize_str(id),
            Self::Other(key) => {
                let mut object = serializer.serialize_struct("key", 2)?;
                object.serialize_field("source", &key.source)?;
                object.serialize_field("id", &key.id)?;
                object.end()
            }
        }
    }
}
