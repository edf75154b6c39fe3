//! Requests from a client to the feed, parsed from its events.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{error::Category, value::RawValue};

#[cfg(feature = "schema")]
use crate::feed::Mode;
use crate::{
    domain::{Account, Invalid},
    feed::{BadOption, SubscribeOptions, parse_limit},
    transport::socketio::engine::restored_name,
};

/// An event from the client as the engine passes it on: `["name", …]`, and the id of the ack that it waits for.
///
/// It has no `Debug`, because it may hold a token.
pub(super) struct RawRequest {
    /// `None` if it was too long to keep.
    pub(super) text: Option<Box<str>>,
    pub(super) ack: Option<i64>,
}

/// One request. An absent account means the socket's own. It has no `Debug`, because it may hold a token.
pub(super) enum FeedRequest {
    Subscribe {
        account: Option<Account>,
        options: SubscribeOptions,
    },
    Unsubscribe {
        account: Option<Account>,
    },
    History {
        account: Option<Account>,
        before: Option<u64>,
        limit: usize,
    },
    Authenticate {
        token: Box<str>,
    },
}

impl FeedRequest {
    /// Parses `["name", {…}]`.
    pub(super) fn parse(request: &RawRequest) -> Result<Self, Invalid> {
        let Some(text) = &request.text else {
            return Err(Invalid::new(
                "too_large",
                "send a request of at most 16 KiB",
            ));
        };
        let parts: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| malformed())?;
        let [name, arguments @ ..] = parts.as_slice() else {
            return Err(malformed());
        };
        let name = restored_name(name.get());
        let name: Cow<'_, str> = serde_json::from_str(&name).map_err(|_| malformed())?;
        let argument = match arguments {
            [] => "{}",
            [one] if one.get() == "null" => "{}",
            [one] => one.get(),
            _ => return Err(bad_request("send one object, and wait for the ack")),
        };
        match name.as_ref() {
            "subscribe" => read::<SubscribeRequest>(argument)?.check(),
            "unsubscribe" => {
                let UnsubscribeRequest { account } = read(argument)?;
                Ok(Self::Unsubscribe {
                    account: parse_account(account)?,
                })
            }
            "history" => read::<HistoryRequest>(argument)?.check(),
            "authenticate" => {
                let AuthenticateRequest { token } = read(argument)?;
                Ok(Self::Authenticate { token })
            }
            _ => Err(Invalid::new(
                "unknown_event",
                "the feed knows subscribe, unsubscribe, history and authenticate",
            )),
        }
    }
}

/// The `auth` of a connection. Every field may be a string: some clients can send nothing else.
/// Other fields are a host's or a client's own.
#[derive(Default, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct FeedAuth {
    /// A JWT, or a ticket; may come as a header or in the query instead.
    pub(super) token: Option<Box<str>>,
    /// Which account to follow at once, where the token has several.
    account: Option<String>,
    /// The position to go on from; without one, the first message is a snapshot.
    after: Option<String>,
    /// `totals` for screens that show sums only.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Mode>"))]
    mode: Option<String>,
    /// How many entries a snapshot shows: 0 to 100, 20 unless given.
    recent: Option<Count>,
    /// `false` to follow nothing before the first `subscribe`.
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    #[serde(deserialize_with = "flag")]
    subscribe: Option<bool>,
}

impl FeedAuth {
    /// Parses the payload of a CONNECT; without one, every field is absent.
    pub(super) fn parse(auth: Option<&str>) -> Result<Self, Invalid> {
        auth.map_or_else(|| Ok(Self::default()), read)
    }

    pub(super) fn wants_subscription(&self) -> bool {
        self.subscribe.unwrap_or(true)
    }

    pub(super) fn into_subscribe(self) -> Result<(Option<Account>, SubscribeOptions), Invalid> {
        let Self {
            account,
            after,
            mode,
            recent,
            ..
        } = self;
        let options = parse_options(after, mode.as_deref(), recent)?;
        Ok((parse_account(account)?, options))
    }
}

/// Follows an account, in place of an earlier subscription to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct SubscribeRequest {
    /// Whose feed; may be left out where the token has one account, or the handshake named one.
    account: Option<String>,
    /// The position to go on from; without one, the first message is a snapshot.
    after: Option<String>,
    /// `totals` for screens that show sums only.
    #[cfg_attr(feature = "schema", schemars(with = "Option<Mode>"))]
    mode: Option<String>,
    /// How many entries a snapshot shows: 0 to 100, 20 unless given.
    recent: Option<Count>,
}

impl SubscribeRequest {
    fn check(self) -> Result<FeedRequest, Invalid> {
        let options = parse_options(self.after, self.mode.as_deref(), self.recent)?;
        Ok(FeedRequest::Subscribe {
            account: parse_account(self.account)?,
            options,
        })
    }
}

/// Ends the subscription to an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct UnsubscribeRequest {
    /// Whose feed; may be left out where the token has one account, or the handshake named one.
    account: Option<String>,
}

/// Asks for older entries, newest first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct HistoryRequest {
    /// Whose feed; may be left out where the token has one account, or the handshake named one.
    account: Option<String>,
    /// An exclusive offset: the `next` of the page before. Without one it begins at the latest entry.
    before: Option<Count>,
    /// How many: 1 to 200, 50 unless given.
    limit: Option<Count>,
}

impl HistoryRequest {
    fn check(self) -> Result<FeedRequest, Invalid> {
        let limit = parse_limit(self.limit.map(|Count(limit)| limit)).map_err(bad_option)?;
        let before = self.before.map(|Count(before)| before);
        Ok(FeedRequest::History {
            account: parse_account(self.account)?,
            before,
            limit,
        })
    }
}

/// Goes on with a new token of the same subject.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct AuthenticateRequest {
    /// A JWT; a ticket does not do.
    token: Box<str>,
}

/// A whole number, or its digits in a string.
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(inline, with = "u64")
)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(u64),
            Text(String),
        }
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => Ok(Self(number)),
            NumberOrText::Text(text) => text.parse().map(Self).map_err(D::Error::custom),
        }
    }
}

/// `true`, `false`, or either in a string.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum BoolOrText {
        Bool(bool),
        Text(String),
    }
    match Option::<BoolOrText>::deserialize(deserializer)? {
        None => Ok(None),
        Some(BoolOrText::Bool(flag)) => Ok(Some(flag)),
        Some(BoolOrText::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

fn parse_options(
    after: Option<String>,
    mode: Option<&str>,
    recent: Option<Count>,
) -> Result<SubscribeOptions, Invalid> {
    let recent = recent.map(|Count(recent)| recent);
    SubscribeOptions::parse(after, mode, recent).map_err(bad_option)
}

fn bad_option(BadOption(message): BadOption) -> Invalid {
    bad_request(message)
}

fn parse_account(account: Option<String>) -> Result<Option<Account>, Invalid> {
    let account = account.filter(|account| !account.is_empty());
    account.map(|account| Account::parse(&account)).transpose()
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, Invalid> {
    // Serde would accept an array for a struct, field by field.
    if !json.trim_ascii_start().starts_with('{') {
        return Err(bad_request("send one object"));
    }
    // The error's own text may quote the request, which may hold a token.
    serde_json::from_str(json).map_err(|error| match error.classify() {
        Category::Data => bad_request("a field is unknown, twice, or of another type"),
        _ => malformed(),
    })
}

fn bad_request(message: &str) -> Invalid {
    Invalid::new("bad_request", message)
}

fn malformed() -> Invalid {
    Invalid::new("malformed", "send an event name and one JSON object")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FeedRequest, Invalid> {
        FeedRequest::parse(&RawRequest {
            text: Some(text.into()),
            ack: None,
        })
    }

    fn code(text: &str) -> &'static str {
        parse(text).err().unwrap().code()
    }

    #[test]
    fn every_field_may_be_a_string() {
        let auth = r#"{"account":"a","recent":"7","subscribe":"false","mode":"totals","x":[1]}"#;
        let auth_fields = FeedAuth::parse(Some(auth)).unwrap();
        assert!(!auth_fields.wants_subscription());
        let (account, options) = auth_fields.into_subscribe().unwrap();
        assert_eq!(account.unwrap().as_str(), "a");
        assert_eq!(
            (options.recent, options.mode),
            (7, crate::feed::Mode::Totals)
        );
        let history = parse(r#"["history",{"before":"9","limit":"3"}]"#)
            .ok()
            .unwrap();
        assert!(matches!(
            history,
            FeedRequest::History {
                before: Some(9),
                limit: 3,
                ..
            }
        ));
    }

    #[test]
    fn no_argument_equals_an_empty_object() {
        for text in [
            r#"["subscribe"]"#,
            r#"["subscribe",null]"#,
            r#"["subscribe",{"after":""}]"#,
        ] {
            let Ok(FeedRequest::Subscribe {
                account: None,
                options,
            }) = parse(text)
            else {
                panic!("{text} is refused");
            };
            assert_eq!(options, SubscribeOptions::default());
        }
    }

    #[test]
    fn every_invalid_request_has_a_code() {
        assert_eq!(code(r#"["__proto__",{}]"#), "unknown_event");
        assert_eq!(code(r#"["",{}]"#), "unknown_event");
        assert_eq!(code(r#"["subscribe",{"acount":"a"}]"#), "bad_request");
        assert_eq!(
            code(r#"["subscribe",{"account":"a","account":"b"}]"#),
            "bad_request"
        );
        assert_eq!(code(r#"["subscribe",{"recent":101}]"#), "bad_request");
        assert_eq!(code(r#"["subscribe",{"recent":-1}]"#), "bad_request");
        assert_eq!(code(r#"["subscribe",{"recent":1e400}]"#), "malformed");
        assert_eq!(code(r#"["subscribe",{"account":"\ud800"}]"#), "malformed");
        assert_eq!(
            code(r#"["subscribe",{"account":"a/b"}]"#),
            "invalid_account"
        );
        assert_eq!(
            code(r#"["subscribe",{"_placeholder":true,"num":0}]"#),
            "bad_request"
        );
        assert_eq!(code(r#"["subscribe",{},{}]"#), "bad_request");
        assert_eq!(code(r#"["history",{"limit":0}]"#), "bad_request");
        assert_eq!(code("[]"), "malformed");
        assert_eq!(
            code(&format!(r#"["subscribe",{}"#, "[".repeat(100_000))),
            "malformed"
        );
        let long = RawRequest {
            text: None,
            ack: None,
        };
        assert_eq!(FeedRequest::parse(&long).err().unwrap().code(), "too_large");
    }

    #[test]
    fn a_refusal_does_not_quote_the_token() {
        let refusal = parse(r#"["authenticate",{"token":"s3cret","s3cret":1}]"#)
            .err()
            .unwrap();
        assert!(!refusal.message().contains("s3cret"));
    }
}
