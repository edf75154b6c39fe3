use serde::{
    Deserialize,
    de::{Error as _, IgnoredAny},
};

/// Reads a JSON object. serde would also accept an array of the struct's fields in their order.
pub(crate) fn from_object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match json.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(json),
        _ => {
            serde_json::from_slice::<IgnoredAny>(json)?;
            Err(serde_json::Error::custom("an object is needed"))
        }
    }
}
