//! The request line and headers of an Engine.IO request, checked before anything else.

use axum::extract::Query;
use http::{Method, Uri, request::Parts};
use socketioxide::socket::Sid;

use super::refusal::Refusal;
use crate::access::{TOKEN_BYTES_MAX, bearer};

/// Engine.IO's two transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransportKind {
    Polling,
    WebSocket,
}

/// A valid request.
pub(super) struct EngineRequest {
    pub(super) transport: TransportKind,
    pub(super) sid: Option<Sid>,
    /// The caller's token: from `Authorization: Bearer`, or else from `?ticket=`. Never logged.
    pub(super) bearer: Option<Box<str>>,
}

impl EngineRequest {
    pub(super) fn parse(parts: &Parts) -> Result<Self, Refusal> {
        let query = EngineQuery::parse(&parts.uri)?;
        let transport = match query.transport.as_deref() {
            Some("polling") => TransportKind::Polling,
            Some("websocket") => TransportKind::WebSocket,
            _ => return Err(Refusal::UnknownTransport),
        };
        if query.version.as_deref() != Some("4") {
            return Err(Refusal::UnsupportedProtocol);
        }
        let sid = query
            .sid
            .map(|sid| sid.parse().map_err(|_| Refusal::UnknownSession));
        let sid = sid.transpose()?;
        check_method(&parts.method, transport, sid.is_some())?;
        let bearer = bearer(&parts.headers).map_err(|_| Refusal::BadRequest)?;
        let bearer = bearer
            .map(Box::from)
            .or(query.ticket.map(String::into_boxed_str));
        if bearer
            .as_deref()
            .is_some_and(|token: &str| token.len() > TOKEN_BYTES_MAX)
        {
            return Err(Refusal::BadRequest);
        }
        Ok(Self {
            transport,
            sid,
            bearer,
        })
    }
}

fn check_method(
    method: &Method,
    transport: TransportKind,
    has_session: bool,
) -> Result<(), Refusal> {
    match (method, transport) {
        (&Method::GET, _) => Ok(()),
        (_, _) if !has_session => Err(Refusal::BadMethod),
        (&Method::POST, TransportKind::Polling) => Ok(()),
        _ => Err(Refusal::BadRequest),
    }
}

/// The fields of the query that we use. Each may occur at most once, so that a proxy cannot
/// read a different value.
#[derive(Default)]
struct EngineQuery {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    ticket: Option<String>,
}

impl EngineQuery {
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn parse(method: Method, query: &str) -> Result<EngineRequest, Refusal> {
        let uri = format!("/socket.io/?{query}");
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        EngineRequest::parse(&request.into_parts().0)
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
    fn a_ticket_is_the_token_without_a_header() {
        let request = parse(Method::GET, "EIO=4&transport=polling&ticket=a%2Eb").unwrap();
        assert_eq!(request.bearer.as_deref(), Some("a.b"));
    }

    #[test]
    fn a_header_takes_precedence_over_a_ticket() {
        let request = Request::builder()
            .uri("/?EIO=4&transport=polling&ticket=t")
            .header("authorization", "bearer h")
            .body(())
            .unwrap();
        let request = EngineRequest::parse(&request.into_parts().0).unwrap();
        assert_eq!(request.bearer.as_deref(), Some("h"));
    }

    #[test]
    fn a_ticket_counts_beside_a_header_of_another_scheme() {
        for other in ["Basic YTpi", "Digest a=b", "Negotiate YII=", "Bearer", ""] {
            let request = Request::builder()
                .uri("/?EIO=4&transport=polling&ticket=t")
                .header("authorization", other)
                .body(())
                .unwrap();
            let request = EngineRequest::parse(&request.into_parts().0).unwrap();
            assert_eq!(request.bearer.as_deref(), Some("t"), "{other}");
        }
    }

    #[test]
    fn a_repeated_authorization_is_refused() {
        let request = Request::builder()
            .uri("/?EIO=4&transport=polling")
            .header("authorization", "Bearer a")
            .header("authorization", "Bearer b")
            .body(())
            .unwrap();
        let refused = EngineRequest::parse(&request.into_parts().0).err();
        assert_eq!(refused, Some(Refusal::BadRequest));
    }
}
