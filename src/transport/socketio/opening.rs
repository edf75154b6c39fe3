//! What an engine request says in its line and headers, checked before anything is done with it.

use axum::extract::Query;
use http::{HeaderMap, Method, Uri, header, request::Parts};
use socketioxide::socket::Sid;

use super::{limits::TOKEN_BYTES_MAX, refusal::Refusal};

/// The engine's two transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Polling,
    WebSocket,
}

/// A request that speaks our protocol.
pub(super) struct Opening {
    pub(super) carrier: Carrier,
    pub(super) sid: Option<Sid>,
    /// The caller's token: from `Authorization: Bearer`, else from `?ticket=`. Never logged.
    pub(super) bearer: Option<Box<str>>,
}

impl Opening {
    pub(super) fn parse(parts: &Parts) -> Result<Self, Refusal> {
        let query = QueryParts::parse(&parts.uri)?;
        let carrier = match query.transport.as_deref() {
            Some("polling") => Carrier::Polling,
            Some("websocket") => Carrier::WebSocket,
            _ => return Err(Refusal::UnknownTransport),
        };
        if query.version.as_deref() != Some("4") {
            return Err(Refusal::UnsupportedProtocol);
        }
        let sid = query
            .sid
            .map(|sid| sid.parse().map_err(|_| Refusal::UnknownSession));
        let sid = sid.transpose()?;
        check_method(&parts.method, carrier, sid.is_some())?;
        let bearer = bearer(&parts.headers).or(query.ticket.map(String::into_boxed_str));
        if bearer
            .as_ref()
            .is_some_and(|token| token.len() > TOKEN_BYTES_MAX)
        {
            return Err(Refusal::BadRequest);
        }
        Ok(Self {
            carrier,
            sid,
            bearer,
        })
    }
}

fn check_method(method: &Method, carrier: Carrier, has_session: bool) -> Result<(), Refusal> {
    match (method, carrier) {
        (&Method::GET, _) => Ok(()),
        (_, _) if !has_session => Err(Refusal::BadMethod),
        (&Method::POST, Carrier::Polling) => Ok(()),
        _ => Err(Refusal::BadRequest),
    }
}

/// The query's fields that count, each at most once: a proxy and we must not read it differently.
#[derive(Default)]
struct QueryParts {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    ticket: Option<String>,
}

impl QueryParts {
    fn parse(uri: &Uri) -> Result<Self, Refusal> {
        let Query(pairs) =
            Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| Refusal::BadRequest)?;
        let mut parts = Self::default();
        for (key, value) in pairs {
            let field = match key.as_str() {
                "EIO" => &mut parts.version,
                "transport" => &mut parts.transport,
                "sid" => &mut parts.sid,
                "ticket" => &mut parts.ticket,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(Refusal::BadRequest);
            }
        }
        Ok(parts)
    }
}

fn bearer(headers: &HeaderMap) -> Option<Box<str>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parse(method: Method, query: &str) -> Result<Opening, Refusal> {
        let uri = format!("/socket.io/?{query}");
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        Opening::parse(&request.into_parts().0)
    }

    fn refusal(method: Method, query: &str) -> Option<Refusal> {
        parse(method, query).err()
    }

    #[test]
    fn each_wrong_field_has_its_refusal() {
        let get = |query| refusal(Method::GET, query);
        assert_eq!(get("EIO=4&transport=polling"), None);
        assert_eq!(get("EIO=4"), Some(Refusal::UnknownTransport));
        assert_eq!(get("EIO=4&transport=grpc"), Some(Refusal::UnknownTransport));
        assert_eq!(
            get("EIO=3&transport=polling"),
            Some(Refusal::UnsupportedProtocol)
        );
        assert_eq!(
            get("transport=websocket"),
            Some(Refusal::UnsupportedProtocol)
        );
        assert_eq!(
            get("EIO=4&transport=polling&sid=x"),
            Some(Refusal::UnknownSession)
        );
        assert_eq!(
            get("EIO=4&EIO=3&transport=polling"),
            Some(Refusal::BadRequest)
        );
        assert_eq!(
            get("EIO=4&transport=polling&sid=&sid="),
            Some(Refusal::BadRequest)
        );
        let post = |query| refusal(Method::POST, query);
        assert_eq!(post("EIO=4&transport=polling"), Some(Refusal::BadMethod));
        let session = "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAHs";
        assert_eq!(post(session), None);
        assert_eq!(refusal(Method::PUT, session), Some(Refusal::BadRequest));
    }

    #[test]
    fn a_ticket_is_the_token_where_no_header_is() {
        let opening = parse(Method::GET, "EIO=4&transport=polling&ticket=a%2Eb").unwrap();
        assert_eq!(opening.bearer.as_deref(), Some("a.b"));
    }

    #[test]
    fn a_header_wins_over_a_ticket() {
        let request = Request::builder()
            .uri("/?EIO=4&transport=polling&ticket=t")
            .header("authorization", "bearer h")
            .body(())
            .unwrap();
        let opening = Opening::parse(&request.into_parts().0).unwrap();
        assert_eq!(opening.bearer.as_deref(), Some("h"));
    }
}
