//! Keeps passwords out of what is printed and logged: the one place that does.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What is shown in place of a secret.
const HIDDEN: &str = "***";

/// In these, a host is often followed by a path with an `@`, such as an account.
const WEB_SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// What ends the name of a parameter with a secret: `sslpassword=…`.
const SECRET_NAMES: [&str; 6] = ["password", "passwd", "pwd", "secret", "token", "ticket"];

/// A URL from a setting or a flag, which may contain a password. Printing and debugging hide it.
///
/// It may be no URL at all: people mistype them, and the error that says so must not show the password either.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct UrlText(String);

impl UrlText {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text with its password. Do not print it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_parameters(&redact_url(&self.0)))
    }
}

impl fmt::Debug for UrlText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl FromStr for UrlText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" => Err("a URL is expected"),
            _ => Ok(Self::new(text)),
        }
    }
}

/// A text without the passwords of the URLs in it, and without the values of parameters such as `password=…`.
///
/// It hides too much rather than too little: whoever put a password into a URL may have left characters in it that
/// belong encoded.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    if !text.contains("//") && !text.contains('=') {
        return text.into();
    }
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let start = rest[..at].rfind(is_outside_scheme).map_or(0, |outside| {
            outside + rest[outside..].chars().next().map_or(0, char::len_utf8)
        });
        let end = at + url_len(&rest[..start], &rest[at..]);
        redacted.push_str(&rest[..start]);
        redacted.push_str(&redact_url(&rest[start..end]));
        rest = &rest[end..];
    }
    redacted.push_str(rest);
    redact_parameters(&redacted).into_owned().into()
}

fn is_outside_scheme(c: char) -> bool {
    !c.is_ascii_alphanumeric() && !"+-.:".contains(c)
}

/// The length of a URL in a text, from its slashes: to the quote that closes it, or else to the next space. Double
/// quotes may enclose more than the URL, as in a log line of JSON.
fn url_len(before: &str, url: &str) -> usize {
    let mut quotes = url.match_indices(['"', '\n']);
    // One is escaped where it belongs to the URL.
    let is_closing = |(at, _): &(usize, &str)| !url[..*at].ends_with('\\');
    let url = quotes.find(is_closing).map_or(url, |(at, _)| &url[..at]);
    let end = match before.chars().next_back() {
        Some(quote @ ('\'' | '`')) => url.rfind(quote),
        _ => url.find(char::is_whitespace),
    };
    end.unwrap_or(url.len())
}

/// Hides the password of one URL: all before the last `@`, except a user's plain name.
fn redact_url(url: &str) -> Cow<'_, str> {
    let Some(at) = url.rfind('@') else {
        return url.into();
    };
    let (scheme, start) = match url.find("//") {
        Some(slashes) => (url[..slashes].trim_end_matches(':'), slashes + 2),
        // The path of a file may well contain these characters.
        None if url.starts_with("sqlite:") => return url.into(),
        // A user and a password without slashes before them, if there is a colon.
        None if url[..at].contains(':') => ("", 0),
        None => return url.into(),
    };
    if at < start {
        return url.into();
    }
    if WEB_SCHEMES.contains(&scheme)
        && let Some(host) = plain_host(&url[start..])
    {
        let (host, rest) = url.split_at(start + host.len());
        return format!("{host}{}", redact(rest)).into();
    }
    let user = match url[start..at].split_once(':') {
        Some((user, _)) if user.chars().all(is_plain) => format!("{user}:"),
        _ => String::new(),
    };
    format!("{}{user}{HIDDEN}{}", &url[..start], &url[at..]).into()
}

/// The host and port with which this begins, if that is all before the path: then there is no password.
fn plain_host(text: &str) -> Option<&str> {
    let host = text.split(['/', '?', '#']).next().unwrap_or(text);
    let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((_, port)) => ("", port),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_plain = name.chars().all(is_plain) && port.chars().all(|c| c.is_ascii_digit());
    is_plain.then_some(host)
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "-._~".contains(c)
}

/// Hides the values of parameters whose names tell that they are secret.
fn redact_parameters(text: &str) -> Cow<'_, str> {
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let (before, value) = rest.split_at(equals + 1);
        redacted.push_str(before);
        let name = before[..equals].to_ascii_lowercase();
        let value_len = match value.chars().next() {
            Some(quote @ ('\'' | '"')) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
            _ => value.find(is_outside_value).unwrap_or(value.len()),
        };
        let is_secret = SECRET_NAMES.iter().any(|secret| name.ends_with(secret));
        if is_secret && value_len > 0 {
            redacted.push_str(HIDDEN);
            rest = &value[value_len..];
        } else {
            rest = value;
        }
    }
    if redacted.is_empty() {
        return text.into();
    }
    redacted.push_str(rest);
    redacted.into()
}

fn is_outside_value(c: char) -> bool {
    c.is_whitespace() || "&;,\"'`)".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "postgres",
            "a//b/c",
            "listening on http://127.0.0.1:3000",
            "http://127.0.0.1:3000/v1/feeds/alice@example.com refused: 403",
            "https://[::1]:3000/@a and https://shop.example/@b?x=a@b",
            "see https://docs.example/a=b, and write to help@shop.example",
            r#"{"url":"pg://a.example/","mail":"a@b.example"}"#,
            "tokens=5 token= tokens",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn each_secret_of_a_text_is_hidden_once() {
        for (text, expected) in [
            (
                "redis://:p@a to redis://u:p@b.",
                "redis://:***@a to redis://u:***@b.",
            ),
            ("`http://u:p q@a/` refused", "`http://u:***@a/` refused"),
            ("'pg://u:'p'@a' refused", "'pg://u:***@a' refused"),
            (
                r#"ledger "pg://u:\"p\"@a": a@b"#,
                r#"ledger "pg://u:***@a": a@b"#,
            ),
            (
                r#"{"m":"pg://u:p@a: chmod 'pg://u:p w@a'","n":"'@"}"#,
                r#"{"m":"pg://u:***@a: chmod 'pg://u:***@a'","n":"'@"}"#,
            ),
            ("电 http://u:电@a", "电 http://u:***@a"),
            ("(//u:p@a)", "(//u:***@a)"),
            ("http://key@a/x@y", "http://***@y"),
            ("http://a/,pg://u:p@b", "http://a/,pg://u:***@b"),
            (
                "http://a/?ticket=t&x=y password=p",
                "http://a/?ticket=***&x=y password=***",
            ),
            (
                "a='x' password='p q' Access_Token=t",
                "a='x' password=*** Access_Token=***",
            ),
        ] {
            assert_eq!(redact(text), expected);
            assert_eq!(redact(expected), expected);
        }
    }
}
