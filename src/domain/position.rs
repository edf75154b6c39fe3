use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{Account, Invalid};

/// The random id of one ledger history; it changes when a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", inline)
)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a client's screen depends on besides the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The account's local date, in days since 1970-01-01.
    pub day: i32,
    /// The profile's revision.
    pub revision: u32,
}

impl Stamp {
    pub(crate) fn new(date: Date, revision: u32) -> Self {
        let day = Self::day_of(date);
        Self { day, revision }
    }

    /// A date, in days since 1970-01-01.
    pub(crate) fn day_of(date: Date) -> i32 {
        (date - Date::constant(1970, 1, 1)).get_days()
    }
}

/// How far a client has come in one account's feed: a place, never a permission.
///
/// Clients keep its text and send it back; what is in it is the server's business: the epoch, a tag
/// of the account and its generation, the offset, and the stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        with = "String",
        description = "How far a client is, as an opaque text: keep the one of each message that you have applied, and give it as `after` when you come back."
    )
)]
pub struct Position {
    /// The ledger history it belongs to.
    pub(crate) epoch: Epoch,
    /// Tells one account (and generation) from another.
    pub(crate) tag: u64,
    /// The last entry applied.
    pub(crate) offset: u64,
    /// Date and profile revision of what was applied.
    pub(crate) stamp: Stamp,
    /// Whether the totals of the entries so far are still to come: the middle of a long replay.
    pub(crate) totals_due: bool,
}

const VERSION: u8 = 1;
const BYTES: usize = 34;

impl Position {
    /// The greatest offset: JavaScript's numbers are exact up to here (2^53 − 1).
    pub const OFFSET_MAX: u64 = (1 << 53) - 1;
    /// The length of its text, in bytes.
    pub const TEXT_BYTES: usize = BYTES.div_ceil(3) * 4 - 2;

    /// Reads the text that a client sent back.
    ///
    /// # Errors
    /// `bad_position` if `Display` cannot have printed this text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let unreadable = || {
            Invalid::new(
                "bad_position",
                "this position cannot be read: start without one",
            )
        };
        if text.len() != Self::TEXT_BYTES {
            return Err(unreadable());
        }
        let mut bytes = [0; BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(BYTES) => Self::from_bytes(&bytes).ok_or_else(unreadable),
            _ => Err(unreadable()),
        }
    }

    /// The offset of the last entry that the client has applied; 0 for none.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether it is the beginning of an account that did not exist yet, whose tag is `absent_tag`. It is
    /// then also the beginning of the account's first generation.
    pub(crate) fn is_of_absent(&self, absent_tag: u64) -> bool {
        self.offset == 0 && self.tag == absent_tag
    }

    /// The tag of positions in this `generation` of `account`.
    pub(crate) fn tag_of(epoch: Epoch, account: &Account, generation: u64) -> u64 {
        let mut hash = Sha256::new();
        hash.update(epoch.0.to_be_bytes());
        hash.update(generation.to_be_bytes());
        hash.update(account.as_str());
        let digest = hash.finalize();
        u64::from_be_bytes(*digest.first_chunk().expect("SHA-256 gives 32 bytes"))
    }

    fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0] = VERSION;
        bytes[1] = u8::from(self.totals_due);
        bytes[2..10].copy_from_slice(&self.epoch.0.to_be_bytes());
        bytes[10..18].copy_from_slice(&self.tag.to_be_bytes());
        bytes[18..26].copy_from_slice(&self.offset.to_be_bytes());
        bytes[26..30].copy_from_slice(&self.stamp.day.to_be_bytes());
        bytes[30..34].copy_from_slice(&self.stamp.revision.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; BYTES]) -> Option<Self> {
        let long = |at: usize| u64::from_be_bytes(*bytes[at..].first_chunk().expect("in bounds"));
        let short = |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().expect("in bounds"));
        let position = Self {
            epoch: Epoch(long(2)),
            tag: long(10),
            offset: long(18),
            stamp: Stamp {
                day: short(26).cast_signed(),
                revision: short(30),
            },
            totals_due: bytes[1] == 1,
        };
        let is_valid = bytes[0] == VERSION && bytes[1] <= 1 && position.offset <= Self::OFFSET_MAX;
        is_valid.then_some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; Self::TEXT_BYTES];
        URL_SAFE_NO_PAD
            .encode_slice(self.to_bytes(), &mut text)
            .expect("the buffer has the text's length");
        f.write_str(std::str::from_utf8(&text).expect("base64 is ASCII"))
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
