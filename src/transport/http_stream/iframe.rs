//! Iframe streaming: a page that does not end, in which each message is a script that calls the embedding page.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderValue, header};

use super::{
    body::respond,
    format::{StreamFormat, concat},
};
use crate::{
    http::{Problem, invalid_query},
    transport::{follow::FollowRequest, state::TransportState},
};

/// Browsers do not render or run a page before they have received about a kilobyte of it.
const PADDING_BYTES: usize = 2_048;
/// The longest callback name, in bytes.
const CALLBACK_BYTES_MAX: usize = 64;

/// `GET /v1/feeds/{account}/iframe?callback=f`: calls `parent.f(message)` for each message.
pub(crate) async fn follow(
    State(state): State<TransportState>,
    request: FollowRequest,
) -> Result<Response, Problem> {
    let mut request = request.without_event_source()?;
    let callback = request.callback.take().filter(|name| is_name(name));
    let callback = callback.ok_or_else(|| {
        invalid_query(
            "callback is the name of a function of the embedding page: letters, digits, _ and $",
        )
    })?;
    let origins = state.app.origins.ancestors();
    let mut response = respond(request.follow(&state), Iframe { callback });
    let policy =
        format!("default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'self'{origins}");
    let policy = HeaderValue::try_from(policy).expect("origins are ASCII");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}

/// Whether it is a JavaScript identifier in ASCII, which can neither end the script nor call anything else.
fn is_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    name.len() <= CALLBACK_BYTES_MAX
        && name.starts_with(is_first)
        && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

struct Iframe {
    callback: String,
}

impl StreamFormat for Iframe {
    const CONTENT_TYPE: &str = "text/html; charset=utf-8";

    fn prelude(&self) -> Bytes {
        let padding = " ".repeat(PADDING_BYTES);
        format!("<!doctype html><meta charset=\"utf-8\"><title>feed</title>{padding}\n").into()
    }

    fn message(&self, _: &str, json: &str, _: Option<&str>) -> Bytes {
        let json = in_script(json);
        concat(&[
            "<script>parent.",
            &self.callback,
            "(",
            &json,
            ")</script>\n",
        ])
    }

    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b" \n")
    }
}

/// JSON that cannot end its script, begin a comment, or break a line in an old browser. It is the same value: the
/// escaped characters occur only inside strings.
fn in_script(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// The argument of each script's call. As in HTML, a script ends at `</script` in any case, unless `<!--` has
    /// begun a comment; old JavaScript ends a line at U+2028.
    fn calls(page: &str) -> Vec<Value> {
        let mut scripts = page.split("<script>");
        let prelude = scripts.next().unwrap().to_ascii_lowercase();
        assert!(!prelude.contains("<script"), "{prelude}");
        let calls = scripts.map(|script| {
            assert!(!script.contains("<!--"), "{script}");
            let end = script.to_ascii_lowercase().find("</script").unwrap();
            let (script, rest) = script.split_at(end);
            let rest = rest.strip_prefix("</script>").unwrap();
            assert!(!rest.contains(|c: char| !c.is_whitespace()), "{rest}");
            assert!(
                !script.contains(['\n', '\r', '\u{2028}', '\u{2029}']),
                "{script}"
            );
            let json = script
                .strip_prefix("parent.f(")
                .unwrap()
                .strip_suffix(')')
                .unwrap();
            serde_json::from_str(json).unwrap()
        });
        calls.collect()
    }

    proptest! {
        #[test]
        fn the_page_passes_any_text_on_unchanged(
            texts in prop::collection::vec(
                prop_oneof![any::<String>(), "(</?script>?|<!--|-->|]]>|[\r\n\u{2028}\u{2029}\"'&/])*"],
                1..5,
            ),
        ) {
            let format = Iframe { callback: "f".to_owned() };
            let messages: Vec<Value> = texts.iter().map(|text| json!({ "d": text })).collect();
            let mut page = format.prelude().to_vec();
            for message in &messages {
                page.extend(format.keep_alive());
                page.extend(format.message("update", &message.to_string(), Some("p")));
            }
            prop_assert_eq!(calls(std::str::from_utf8(&page).unwrap()), messages);
        }
    }

    #[test]
    fn escaped_json_cannot_end_its_script_and_has_the_same_value() {
        let json =
            r#"{"description":"</script><!--<b>&amp;\u2028"}"#.replace("\\u2028", "\u{2028}");
        let escaped = in_script(&json);
        assert!(!escaped.contains(['<', '\u{2028}']), "{escaped}");
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&escaped), read(&json));
    }

    #[test]
    fn a_callback_is_one_name() {
        for name in ["f", "_on", "$", "update2"] {
            assert!(is_name(name), "{name}");
        }
        let long = "f".repeat(65);
        for name in [
            "",
            "2f",
            "a.b",
            "alert(1)",
            "f;",
            "é",
            "a b",
            "</script>",
            long.as_str(),
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
