use serde_json::{Value, json};
use tallycast::{Hub, Jwt, Memory};
use tokio::net::TcpStream;

use crate::support::{
    host::Host,
    raw_http::{self, OPEN_ROUTES, request},
    router_server::RawClient,
    tokens::{Key, claims, seconds, token},
};

const AUDIENCE: &str = "us";

/// Alice's claims for this server.
fn ours() -> Value {
    claims(json!({ "aud": AUDIENCE }))
}

/// Forged and misformed tokens for a server that knows this public key.
fn bad_tokens(key: &Key) -> Vec<(&'static str, String)> {
    let eddsa = json!({ "alg": "EdDSA" });
    let with = |name: &str, value: &str| {
        let mut header = eddsa.clone();
        header[name] = value.into();
        token(&header, &ours(), &Key::ed25519())
    };
    let claiming = |changes: Value| {
        let mut claims = ours();
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        token(&eddsa, &claims, key)
    };
    let hs256 = json!({ "alg": "HS256" });
    let as_secret = |secret: String| token(&hs256, &ours(), &Key::secret(secret));
    vec![
        (
            "no algorithm",
            token(&json!({ "alg": "none" }), &ours(), &Key::None),
        ),
        ("the public key as a secret", as_secret(key.public_pem())),
        (
            "the public key without its last line end",
            as_secret(key.public_pem().trim().to_owned()),
        ),
        ("a kid that is a path", with("kid", "../../../../dev/null")),
        ("a kid that is SQL", with("kid", "x' UNION SELECT 'secret")),
        ("a kid that is a URL", with("kid", "http://127.0.0.1:1/key")),
        ("a jku", with("jku", "http://127.0.0.1:1/jwks.json")),
        ("an x5u", with("x5u", "http://127.0.0.1:1/cert.pem")),
        ("no end", claiming(json!({ "exp": null }))),
        (
            "an end that is text",
            claiming(json!({ "exp": "9999999999" })),
        ),
        ("a negative end", claiming(json!({ "exp": -1 }))),
        ("an end beyond all time", claiming(json!({ "exp": 1e300 }))),
        (
            "an end that is a list",
            claiming(json!({ "exp": [seconds(60)] })),
        ),
        (
            "a beginning that is text",
            claiming(json!({ "nbf": "9999999999" })),
        ),
        (
            "a beginning to come",
            claiming(json!({ "nbf": seconds(600) })),
        ),
        ("another audience", claiming(json!({ "aud": "others" }))),
        ("no audience", claiming(json!({ "aud": null }))),
    ]
}

#[tokio::test]
async fn every_bad_token_gets_the_same_401_on_every_transport() {
    let key = Key::ed25519();
    let access = Jwt::from_public_pem(key.public_pem())
        .unwrap()
        .with_audience(AUDIENCE);
    let hub = Hub::builder(Memory::new(), access).build().await.unwrap();
    let host = Host::start(hub).await;
    let eddsa = json!({ "alg": "EdDSA" });
    let good = token(&eddsa, &ours(), &key);
    let joined = |token: &str| format!("40/feed,{}", json!({ "token": token }));
    assert!(
        host.ws()
            .await
            .join(&joined(&good))
            .await
            .starts_with("40/feed,{")
    );

    let mut bodies = Vec::new();
    for (what, bad) in bad_tokens(&key) {
        let bearer = format!("Authorization: Bearer {bad}\r\n");
        for route in OPEN_ROUTES.into_iter().chain(["", "entries"]) {
            let mut client = RawClient(TcpStream::connect(host.address).await.unwrap());
            client
                .send(request("GET", "alice", route, "", &bearer))
                .await;
            let answer = client.answer().await;
            assert_eq!(raw_http::status(&answer), Some(401), "{what}: {route}");
            bodies.push(answer.split_once("\r\n\r\n").unwrap().1.to_owned());
        }
        let refused = host.ws().await.join(&joined(&bad)).await;
        assert_eq!(refused, r#"44/feed,{"message":"unauthorized"}"#, "{what}");
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}
