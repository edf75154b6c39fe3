//! What a watcher needs to know of a message: found by its keys, without parsing the JSON.

use memchr::{memchr, memmem};

use super::error::BenchError;

#[derive(Debug, PartialEq)]
pub(super) enum BenchMessage<'a> {
    /// The watcher is live; its account is at this offset.
    Live { offset: u64 },
    /// The entries `from` to `to` of the account.
    Update {
        account: &'a [u8],
        from: u64,
        to: u64,
    },
    /// The server shuts down, or closes this watcher's feed.
    Closing,
    /// A snapshot, or any other message.
    Other,
}

impl<'a> BenchMessage<'a> {
    /// Reads a message's JSON, which begins with its `type`. Keys are searched from left to right, in the
    /// order in which Tallycast writes them and in which its peers are made to.
    pub(super) fn read(json: &'a [u8]) -> Result<Self, BenchError> {
        let garbled = || BenchError::garbled(json);
        let kind = json.strip_prefix(br#"{"type":""#).ok_or_else(garbled)?;
        if kind.starts_with(b"update\"") {
            let (account, rest) = text_after(kind, br#""account":""#).ok_or_else(garbled)?;
            let (from, rest) = number_after(rest, br#""from":"#).ok_or_else(garbled)?;
            let (to, _) = number_after(rest, br#""to":"#).ok_or_else(garbled)?;
            return Ok(Self::Update { account, from, to });
        }
        if kind.starts_with(b"live\"") {
            let (offset, _) = number_after(kind, br#""offset":"#).ok_or_else(garbled)?;
            return Ok(Self::Live { offset });
        }
        if kind.starts_with(b"closing\"") {
            return Ok(Self::Closing);
        }
        Ok(Self::Other)
    }
}

fn text_after<'a>(json: &'a [u8], key: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = &json[memmem::find(json, key)? + key.len()..];
    Some(rest.split_at(memchr(b'"', rest)?))
}

fn number_after<'a>(json: &'a [u8], key: &[u8]) -> Option<(u64, &'a [u8])> {
    let rest = &json[memmem::find(json, key)? + key.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    let (digits, rest) = rest.split_at(digits.count());
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, rest))
}
