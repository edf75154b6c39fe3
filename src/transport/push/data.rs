//! Which JSON a push may carry: only what every client can parse, and all parse in the same way (RFC 7493).

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// The most bytes of the data.
pub(super) const BYTES_MAX: usize = 64 * 1024;
/// The most arrays and objects around any part of the data.
pub(super) const LEVELS_MAX: usize = 100;

/// Checks the size of data, which is valid JSON.
///
/// # Errors
/// If it is too long or nested too deep.
pub(super) fn check_size(json: &str) -> Result<(), &'static str> {
    if json.len() > BYTES_MAX {
        return Err("the data has at most 64 KiB as JSON");
    }
    // The compiler counts many bytes at once, and nearly all data has fewer brackets than may be nested.
    let brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    if brackets.count() > LEVELS_MAX && levels(json) > LEVELS_MAX {
        return Err("the data is nested at most 100 levels deep");
    }
    Ok(())
}

/// Checks that all clients parse data in the same way. Call [`check_size`] first: the parser has its own limit on depth.
///
/// # Errors
/// If an object repeats a name, a number is out of range, or a string has half of a surrogate pair.
pub(super) fn check_reading(json: &str) -> Result<(), &'static str> {
    let Readable = serde_json::from_str(json).map_err(|_| {
        "clients read this data differently: a name is repeated in an object, a number is beyond every float, or a \
         text has half of a surrogate pair"
    })?;
    Ok(())
}

/// The most arrays and objects around any part of some JSON, which is valid.
fn levels(json: &str) -> usize {
    let (mut level, mut most, mut in_string) = (0_usize, 0, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            // What follows belongs to the string, also if it is a quote.
            b'\\' => drop(bytes.next()),
            b'[' | b'{' if !in_string => {
                level += 1;
                most = most.max(level);
            }
            b']' | b'}' if !in_string => level -= 1,
            _ => {}
        }
    }
    most
}

/// Any JSON value that is read to its end.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadableVisitor)
    }
}

struct ReadableVisitor;

impl<'de> Visitor<'de> for ReadableVisitor {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E>(self, _: &str) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Readable, A::Error> {
        while let Some(Readable) = items.next_element()? {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Readable, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a name is repeated"));
            }
            let Readable = members.next_value()?;
        }
        Ok(Readable)
    }
}
