//! Forged tokens, on every transport: one answer for all, in the same bytes, and nobody is asked for a key.

use std::{io::ErrorKind, net::TcpListener};

use serde_json::{Value, json};
use tallycast::{Authorize, Hub, Jwt, Memory, Quotas, access::Authorizing};

use super::{GETS, WRITES};
use crate::support::{
    attacked_server::AttackedServer,
    raw_http::{HANDSHAKE, RawAnswer},
    raw_websocket::RawWebSocket,
    tokens::{
        Key, OTHER_SECRET, SECRET, base64_url, bearer, claims, seconds, token, token_of_text,
    },
};

/// The audience of a partner's tokens.
const AUDIENCE: &str = "tally";

/// A service that takes tokens of its own, signed with a secret, and a partner's, signed with RSA or Ed25519.
struct TwoIssuers {
    own: Jwt,
    partner: Jwt,
}

impl Authorize for TwoIssuers {
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
        Box::pin(async move {
            match self.partner.authorize(token).await {
                Ok(grant) => Ok(grant),
                Err(_) => self.own.authorize(token).await,
            }
        })
    }
}

/// The keys of the partner.
struct Partner {
    rsa: Key,
    ed: Key,
}

impl Partner {
    fn new() -> Self {
        Self {
            rsa: Key::rsa(),
            ed: Key::ed25519(),
        }
    }

    /// A server that takes both kinds of tokens, and any number of rejected ones.
    async fn server(&self) -> AttackedServer {
        let jwks = json!({ "keys": [self.rsa.jwk("rsa"), self.ed.jwk("ed")] });
        let partner = Jwt::from_jwks(&jwks.to_string()).unwrap();
        let access = TwoIssuers {
            own: Jwt::hs256(SECRET).unwrap(),
            partner: partner.with_audience(AUDIENCE),
        };
        let quotas = Quotas {
            request_rate_per_address: 1_000_000,
            session_rate_per_address: 1_000_000,
            session_rate_per_connection: 1_000_000,
            ..Quotas::default()
        };
        AttackedServer::of(Hub::builder(Memory::new(), access).quotas(quotas)).await
    }

    /// A token of alice as the partner issues it, with changes.
    fn token(&self, changes: Value) -> String {
        let mut all = json!({ "aud": AUDIENCE });
        for (name, value) in changes.as_object().unwrap() {
            all[name] = value.clone();
        }
        token(
            &json!({ "alg": "RS256", "kid": "rsa" }),
            &claims(all),
            &self.rsa,
        )
    }
}

/// Forged and broken tokens with what is wrong with each. `elsewhere` is where a key might be fetched from.
fn forged(partner: &Partner, elsewhere: &str) -> Vec<(String, String)> {
    let good = claims(json!({}));
    let theirs = claims(json!({ "aud": AUDIENCE }));
    let mine = Key::ed25519();
    let my_rsa = Key::rsa();
    let secret = Key::secret(SECRET);
    let public = partner.rsa.public_pem();
    let ed_public = partner.ed.public_pem();
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, token: String| all.push((name.to_owned(), token));

    for name in ["none", "None", "NONE", "nOnE", "", " none"] {
        add(
            "no algorithm",
            token(&json!({ "alg": name }), &good, &Key::None),
        );
        add(
            "none, but signed",
            token(&json!({ "alg": name }), &good, &secret),
        );
    }
    add("no alg", token(&json!({}), &good, &Key::None));
    add("alg null", token(&json!({ "alg": null }), &good, &secret));
    add(
        "two algs",
        token_of_text(
            r#"{"alg":"none","alg":"HS256"}"#,
            &good.to_string(),
            &secret,
        ),
    );
    // The public key, which everybody has, as the secret.
    for (name, key) in [
        ("the RSA key as a secret", public.as_str()),
        ("the same without its last line break", public.trim()),
        ("the Ed25519 key as a secret", &ed_public),
    ] {
        for header in [
            json!({ "alg": "HS256" }),
            json!({ "alg": "HS256", "kid": "rsa" }),
        ] {
            add(name, token(&header, &theirs, &Key::secret(key)));
        }
    }
    for kid in [
        "../../../../dev/null",
        "/dev/null",
        "rsa/../../dev/null",
        "' UNION SELECT 'k' --",
        "rsa' OR '1'='1",
        "rsa\0",
        elsewhere,
        "",
        "|curl 127.0.0.1",
    ] {
        for (alg, key) in [
            ("HS256", Key::secret("")),
            ("HS256", Key::secret("k")),
            ("HS256", Key::secret("\0")),
            ("RS256", Key::None),
        ] {
            add(
                "a key that its kid leads to",
                token(&json!({ "alg": alg, "kid": kid }), &theirs, &key),
            );
        }
    }
    for (alg, key) in [("EdDSA", &mine), ("RS256", &my_rsa)] {
        let jwk = key.jwk("rsa");
        for header in [
            json!({ "alg": alg, "jku": elsewhere }),
            json!({ "alg": alg, "jku": elsewhere, "kid": "rsa" }),
            json!({ "alg": alg, "x5u": elsewhere, "kid": "rsa" }),
            json!({ "alg": alg, "jwk": jwk }),
            json!({ "alg": alg, "jwk": jwk, "kid": "rsa" }),
            json!({ "alg": alg, "x5c": [base64_url("certificate")] }),
        ] {
            add("a key that it brings", token(&header, &theirs, key));
        }
    }
    add(
        "crit",
        token(&json!({ "alg": "HS256", "crit": ["exp"] }), &good, &secret),
    );
    add(
        "another secret",
        token(
            &json!({ "alg": "HS256" }),
            &good,
            &Key::secret(OTHER_SECRET),
        ),
    );

    // A claim of the wrong type must not count as absent (CVE-2026-25537).
    for changes in [
        json!({ "exp": null }),
        json!({ "exp": "" }),
        json!({ "exp": "tomorrow" }),
        json!({ "exp": seconds(3_600).to_string() }),
        json!({ "exp": true }),
        json!({ "exp": [seconds(3_600)] }),
        json!({ "exp": {} }),
        json!({ "exp": 0 }),
        json!({ "exp": -1 }),
        json!({ "exp": i64::MIN }),
        json!({ "exp": u64::MAX }),
        json!({ "exp": 1e300 }),
        json!({ "exp": seconds(3_600) * 1_000 }),
        json!({ "exp": seconds(-1) }),
        json!({ "nbf": "0" }),
        json!({ "nbf": seconds(3_600).to_string() }),
        json!({ "nbf": seconds(3_600) }),
        json!({ "nbf": [0] }),
        json!({ "nbf": {} }),
        json!({ "iat": "0" }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "sub": ["alice"] }),
        json!({ "accounts": (0..1_001).collect::<Vec<_>>() }),
        json!({ "accounts": (0..1_001).map(|one| one.to_string()).collect::<Vec<_>>() }),
        json!({ "accounts": "bob" }),
        // This server is nobody's audience for tokens with the secret.
        json!({ "aud": "somebody else" }),
        json!({ "aud": AUDIENCE }),
        json!({ "aud": [] }),
    ] {
        add(&format!("own {changes:.60}"), bearer(changes));
    }
    for changes in [
        json!({ "aud": null }),
        json!({ "aud": "Tally" }),
        json!({ "aud": "somebody else" }),
        json!({ "aud": ["tall", "tally/"] }),
        json!({ "aud": { "tally": true } }),
        json!({ "aud": 1 }),
        json!({ "exp": seconds(3_600).to_string() }),
        json!({ "nbf": seconds(3_600).to_string() }),
    ] {
        add(
            &format!("a partner's {changes:.60}"),
            partner.token(changes),
        );
    }
    let exp = seconds(3_600);
    for text in [
        format!(r#"{{"sub":"alice","exp":1,"exp":{exp}}}"#),
        format!(r#"{{"sub":"bob","sub":"alice","exp":{exp}}}"#),
        r#"{"sub":"alice","exp":1e400}"#.to_owned(),
        format!(r#"{{"sub":"\ud800","exp":{exp}}}"#),
        format!(r#"["alice",{exp}]"#),
        "[".repeat(3_000),
        String::new(),
    ] {
        add(
            "odd JSON",
            token_of_text(r#"{"alg":"HS256"}"#, &text, &secret),
        );
    }
    let honest = bearer(json!({}));
    let (message, signature) = honest.rsplit_once('.').unwrap();
    for broken in [
        message.to_owned(),
        format!("{message}."),
        format!("{message}.{}", &signature[1..]),
        format!("{message}.{signature}="),
        format!("{message}.{signature}.x.y"),
        format!("{honest}.{honest}"),
        format!("{message}.{}", "A".repeat(43)),
        "..".to_owned(),
        "ticket.".to_owned(),
        "a".repeat(9_000),
    ] {
        add("broken", broken);
    }
    all
}

/// A place that counts who asks it for a key.
struct Elsewhere(TcpListener);

impl Elsewhere {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn url(&self) -> String {
        format!("http://{}/jwks.json", self.0.local_addr().unwrap())
    }

    /// The server asks nobody: a fetch would have had to end before its refusal.
    fn assert_unasked(&self) {
        let asked = self.0.accept();
        assert_eq!(asked.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[tokio::test]
async fn a_forged_token_gets_the_same_bytes_on_every_route() {
    let (partner, elsewhere) = (Partner::new(), Elsewhere::open());
    let server = partner.server().await;
    let forged = forged(&partner, &elsewhere.url());
    assert!(forged.len() > 100, "{} tokens", forged.len());
    for (method, path) in GETS.iter().chain(&WRITES) {
        let path = path.replace("{account}", "alice");
        let path = path.replace("/iframe", "/iframe?callback=f");
        let headers = ["", HANDSHAKE][usize::from(path.ends_with("/ws"))];
        let ask = async |token: &str| {
            let answer = server.call_with(method, &path, token, headers, "");
            answer.await
        };
        let unknown: RawAnswer = ask("").await;
        assert_eq!(
            unknown.refusal(),
            (Some(401), json!("unauthorized")),
            "{path}"
        );
        for (name, token) in &forged {
            let refused = ask(token).await;
            assert_eq!(
                refused.undated(),
                unknown.undated(),
                "{method} {path}: {name}"
            );
        }
    }
    elsewhere.assert_unasked();
    // What is right with the others: both issuers' tokens open alice's feed.
    for good in [bearer(json!({})), partner.token(json!({}))] {
        let opened = server.call("GET", "/v1/feeds/alice/sse", &good, "").await;
        assert_eq!(opened.status(), Some(200));
    }
    server.assert_unharmed().await;
}

#[tokio::test]
async fn a_forged_token_gets_the_same_packet_on_every_socket() {
    let (partner, elsewhere) = (Partner::new(), Elsewhere::open());
    let server = partner.server().await;
    let host = server.host();
    let unknown = host.ws().await.join("40/feed,").await;
    let by_polling = async |connect: String| {
        let polling = host.poll().await;
        polling.send(&connect).await;
        polling.receive().await
    };
    for (name, token) in forged(&partner, &elsewhere.url()) {
        let auth = json!({ "token": token });
        let connect = format!("40/feed,{auth}");
        let refused = host.ws().await.join(&connect).await;
        assert_eq!(refused, unknown, "{name}");
        assert_eq!(by_polling(connect).await, unknown, "{name} by polling");

        let mut open = host.watch(&json!({ "token": bearer(json!({})) })).await;
        let (_, answer) = open.ask("authenticate", &auth).await;
        assert_eq!(answer["code"], "unauthorized", "{name}: {answer}");
        let path = "/v1/feeds/alice/ws";
        let mut open = RawWebSocket::open(host.address, path, &bearer(json!({}))).await;
        let renew = json!({ "type": "authenticate", "token": token });
        let answer = open.ask(&renew.to_string()).await;
        assert_eq!(answer["code"], "unauthorized", "{name}: {answer}");
    }
    elsewhere.assert_unasked();
    server.assert_unharmed().await;
}

/// Such a token has twenty megabytes: none of the transports reads it.
#[tokio::test]
async fn a_token_of_a_million_accounts_is_refused_on_every_transport() {
    let server = AttackedServer::open().await;
    let million: Vec<_> = (0..1_000_000).map(|one| format!("account-{one}")).collect();
    let huge = bearer(json!({ "accounts": million }));
    let mut attacker = server.connect().await;
    attacker
        .send(format!(
            "GET /v1/feeds/alice/sse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {huge}\r\n\r\n"
        ))
        .await;
    let answer = attacker.rest().await;
    let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 431 ");
    assert!(is_refused, "{answer}");
    let mut attacker = server.connect().await;
    attacker
        .send(format!(
            "GET /v1/feeds/alice/sse?ticket={huge} HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
    let answer = attacker.rest().await;
    let is_refused = ["", "HTTP/1.1 431 ", "HTTP/1.1 414 "].map(|start| answer.starts_with(start));
    assert!(
        is_refused.contains(&true) && !answer.contains(" 200 "),
        "{answer}"
    );

    let auth = json!({ "token": huge });
    let host = server.host();
    let mut socket = host.ws().await;
    let sent = futures_util::SinkExt::send(
        &mut socket.stream,
        tokio_tungstenite::tungstenite::Message::text(format!("40/feed,{auth}")),
    );
    let _cut = sent.await;
    let closed = socket.closed().await;
    assert!(matches!(closed, None | Some(1009)), "{closed:?}");
    let polling = host.request(reqwest::Method::POST, &host.poll().await.query());
    let refused = polling.body(format!("40/feed,{auth}")).send().await;
    assert!(refused.is_err() || refused.unwrap().status() == 413);
    let mut open = RawWebSocket::open(host.address, "/v1/feeds/alice/ws", &bearer(json!({}))).await;
    open.until("live").await;
    let renew = json!({ "type": "authenticate", "token": huge }).to_string();
    open.send(crate::support::raw_websocket::text(&renew)).await;
    let closed = open.closed().await.and_then(|frame| frame.close_code());
    assert!(matches!(closed, None | Some(1009)), "{closed:?}");
    server.assert_unharmed().await;
}
