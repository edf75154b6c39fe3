//! Events as `CloudEvents` 1.0: `subject` is the account, `data` holds the rest.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::domain::{Attributes, Event, Invalid, Reverses, amount_text, from_object};

/// The attributes of a `CloudEvent`. Extension attributes are ignored.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    datacontenttype: Option<String>,
}

/// The `data` of a `CloudEvent`. Its fields are those of an event's JSON, listed again because serde can neither
/// deny unknown fields of a flattened struct nor read raw numbers in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudEventData {
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
    attributes: Option<Attributes>,
    #[serde(default)]
    reverses: Option<Reverses>,
}

/// Whether this is binary mode: the attributes are headers, and the body is the data.
pub(super) fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion") || headers.contains_key("ce-id")
}

/// Reads an event in structured mode.
pub(super) fn structured(json: &[u8]) -> Result<Event, Invalid> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    check_size(json)?;
    let event: CloudEvent = from_object(json).map_err(unfit)?;
    let whole: Whole<'_> = from_object(json).map_err(unfit)?;
    let data = whole
        .data
        .ok_or_else(|| invalid("it has no data: amount and unit go there, as a JSON object"))?;
    event.event(data.get().as_bytes())
}

/// Reads an event in binary mode.
pub(super) fn binary(event: CloudEvent, data: &[u8]) -> Result<Event, Invalid> {
    check_size(data)?;
    event.event(data)
}

impl CloudEvent {
    /// Reads the `ce-` headers.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Invalid> {
        let required = |name: &str| {
            attribute(headers, name)?
                .ok_or_else(|| invalid(&format!("the header ce-{name} is missing")))
        };
        Ok(Self {
            specversion: required("specversion")?,
            id: required("id")?,
            source: required("source")?,
            r#type: required("type")?,
            subject: attribute(headers, "subject")?,
            time: attribute(headers, "time")?,
            datacontenttype: None,
        })
    }

    fn event(self, data: &[u8]) -> Result<Event, Invalid> {
        if self.specversion != "1.0" {
            return Err(invalid("the only specversion accepted is 1.0"));
        }
        if !self.has_json() {
            return Err(invalid("its datacontenttype must be application/json"));
        }
        let Some(account) = self.subject else {
            return Err(invalid("it has no subject: the account goes there"));
        };
        let data: CloudEventData = from_object(data).map_err(unfit)?;
        Ok(Event {
            id: self.id,
            source: self.source,
            account,
            kind: kind_of(&self.r#type),
            amount: data.amount.as_deref().map(amount_text),
            unit: data.unit,
            meter: data.meter,
            category: data.category,
            description: data.description,
            time: self.time,
            attributes: data.attributes.unwrap_or_default().0,
            reverses: data.reverses,
        })
    }

    fn has_json(&self) -> bool {
        let Some(media_type) = &self.datacontenttype else {
            return true;
        };
        let essence = media_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        essence == "application/json" || essence.ends_with("+json")
    }
}

fn kind_of(event_type: &str) -> Option<String> {
    ["adjustment", "reversal"]
        .into_iter()
        .find(|kind| {
            event_type
                .strip_suffix(kind)
                .is_some_and(|rest| rest.ends_with('.'))
        })
        .map(str::to_owned)
}

/// One attribute, decoded as the HTTP binding requires (version 1.0.2, section 3.1.3.2): first the quotes, then the
/// percent-encoding, once.
fn attribute(headers: &HeaderMap, name: &str) -> Result<Option<String>, Invalid> {
    let mut values = headers.get_all(format!("ce-{name}")).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes());
    let (Ok(text), None) = (text, values.next()) else {
        return Err(invalid(&format!(
            "the header ce-{name} must appear once, in UTF-8"
        )));
    };
    let decoded = percent_decode_str(&unquote(text))
        .decode_utf8()
        .map(|text| text.into_owned());
    decoded.map(Some).map_err(|_| {
        invalid(&format!(
            "the header ce-{name} is not UTF-8 once its percent signs are decoded"
        ))
    })
}

/// The content of a quoted string (RFC 9110, section 5.6.4). Any other text is returned unchanged.
fn unquote(text: &str) -> String {
    let quoted = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return text.to_owned();
    };
    let mut plain = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next() } else { None };
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

fn check_size(json: &[u8]) -> Result<(), Invalid> {
    if json.len() > Event::BYTES_MAX {
        return Err(Invalid::new(
            "event_too_large",
            "an event has at most 16 KiB as JSON",
        ));
    }
    Ok(())
}

fn unfit(error: serde_json::Error) -> Invalid {
    if error.is_data() {
        invalid(&format!("it does not fit: {error}"))
    } else {
        Invalid::new("malformed_json", format!("the event is not JSON: {error}"))
    }
}

fn invalid(what: &str) -> Invalid {
    Invalid::new("invalid_event", format!("invalid CloudEvent: {what}"))
}
