//! Which keys verify which tokens: secrets, public keys, key sets and rotation.

use serde_json::json;
use tallycast::{Jwt, access::Signer};

use super::authorize;
use crate::support::tokens::{self, Key, OTHER_SECRET, SECRET, claims, hs256, token};

#[tokio::test]
async fn the_key_chooses_the_algorithm() {
    let rsa = Key::rsa();
    let public = rsa.public_pem();
    let jwt = Jwt::from_public_pem(&public).unwrap();
    let claims = claims(json!({}));

    let honest = token(&json!({ "alg": "RS256" }), &claims, &rsa);
    assert!(authorize(&jwt, &honest).await.is_ok());

    for (header, key) in [
        // A common attack: the public key, which everyone has, as the secret.
        (json!({ "alg": "HS256" }), Key::secret(&public)),
        (json!({ "alg": "HS256" }), Key::secret(public.trim())),
        (json!({ "alg": "none" }), Key::None),
        (json!({ "alg": "None" }), Key::None),
        (json!({ "alg": "nOnE" }), Key::None),
        (json!({ "alg": "" }), Key::None),
        (json!({}), Key::None),
        (json!({ "alg": "RS256" }), Key::None),
        (json!({ "alg": "RS256" }), Key::rsa()),
        (json!({ "alg": "PS256" }), Key::rsa()),
        (json!({ "alg": "EdDSA" }), Key::ed25519()),
    ] {
        let forged = token(&header, &claims, &key);
        assert!(
            authorize(&jwt, &forged).await.is_err(),
            "{header} was accepted"
        );
    }
    // The right key, with an algorithm that it was not configured for.
    let other = tokens::sha512_token(&claims, &rsa);
    assert!(authorize(&jwt, &other).await.is_err());
}

#[tokio::test]
async fn a_secret_takes_its_own_tokens_only() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let claims = claims(json!({}));
    for (header, key) in [
        (json!({ "alg": "HS256" }), Key::secret(OTHER_SECRET)),
        (json!({ "alg": "HS256" }), Key::secret("")),
        (json!({ "alg": "HS384" }), Key::secret(SECRET)),
        (json!({ "alg": "none" }), Key::None),
        (json!({ "alg": "none" }), Key::secret(SECRET)),
        (
            json!({ "alg": "HS256", "crit": ["exp"] }),
            Key::secret(SECRET),
        ),
    ] {
        let forged = token(&header, &claims, &key);
        assert!(
            authorize(&jwt, &forged).await.is_err(),
            "{header} was accepted"
        );
    }
    let other = tokens::sha512_token(&claims, &Key::secret(SECRET));
    assert!(authorize(&jwt, &other).await.is_err());
}

#[tokio::test]
async fn where_a_token_says_its_key_is_does_not_matter() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let own = Key::ed25519();
    let claims = claims(json!({}));
    for header in [
        json!({ "kid": "../../../../dev/null" }),
        json!({ "kid": "' OR 1=1 --" }),
        json!({ "kid": "http://127.0.0.1:1/key" }),
        json!({ "jku": "http://127.0.0.1:1/jwks.json" }),
        json!({ "x5u": "http://127.0.0.1:1/cert.pem" }),
        json!({ "jwk": own.jwk("mine") }),
    ] {
        let mut forged = header.clone();
        forged["alg"] = json!("EdDSA");
        let forged = token(&forged, &claims, &own);
        assert!(
            authorize(&jwt, &forged).await.is_err(),
            "{header} was obeyed"
        );

        let mut empty = header.clone();
        empty["alg"] = json!("HS256");
        let empty = token(&empty, &claims, &Key::secret(""));
        assert!(
            authorize(&jwt, &empty).await.is_err(),
            "{header} was obeyed"
        );

        let mut honest = header.clone();
        honest["alg"] = json!("HS256");
        let honest = token(&honest, &claims, &Key::secret(SECRET));
        assert!(
            authorize(&jwt, &honest).await.is_ok(),
            "{header} was refused"
        );
    }
}

#[tokio::test]
async fn every_kind_of_public_key_works() {
    for (name, key) in [
        ("EdDSA", Key::ed25519()),
        // The name that RFC 9864 gives it.
        ("Ed25519", Key::ed25519()),
        ("ES256", Key::p256()),
        ("RS256", Key::rsa()),
    ] {
        let jwt = Jwt::from_public_pem(key.public_pem()).unwrap();
        let honest = token(&json!({ "alg": name }), &claims(json!({})), &key);
        assert!(authorize(&jwt, &honest).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn kid_chooses_among_the_keys_of_a_jwks() {
    let (ed, ec, rsa) = (Key::ed25519(), Key::p256(), Key::rsa());
    let unusable = json!({ "kid": "later", "kty": "OKP", "crv": "X448", "x": "AA" });
    let symmetric = json!({ "kid": "oct", "kty": "oct", "k": tokens::base64_url(SECRET) });
    let mut encryption = rsa.jwk("enc");
    encryption["use"] = json!("enc");
    let jwks = json!({
        "keys": [ed.jwk("ed"), ec.jwk("ec"), rsa.jwk("rsa"), unusable, symmetric, encryption],
    });
    let jwt = Jwt::from_jwks(&jwks.to_string()).unwrap();
    let claims = claims(json!({}));
    let secret = Key::secret(SECRET);

    for (alg, kid, key, welcome) in [
        ("EdDSA", "ed", &ed, true),
        ("ES256", "ec", &ec, true),
        ("RS256", "rsa", &rsa, true),
        ("EdDSA", "ec", &ed, false),
        ("ES256", "ed", &ec, false),
        ("RS256", "enc", &rsa, false),
        ("HS256", "oct", &secret, false),
        ("RS256", "../rsa", &rsa, false),
        ("RS256", "", &rsa, false),
    ] {
        let asked = token(&json!({ "alg": alg, "kid": kid }), &claims, key);
        assert_eq!(
            authorize(&jwt, &asked).await.is_ok(),
            welcome,
            "{alg} by {kid:?}"
        );
    }
    let nameless = token(&json!({ "alg": "RS256" }), &claims, &rsa);
    assert!(authorize(&jwt, &nameless).await.is_err(), "which of three?");
}

#[tokio::test]
async fn a_jwks_of_one_key_needs_no_kid() {
    let ed = Key::ed25519();
    let jwks = json!({ "keys": [ed.jwk("only")] }).to_string();
    let jwt = Jwt::from_jwks(&jwks).unwrap();
    let asked = token(&json!({ "alg": "EdDSA" }), &claims(json!({})), &ed);
    assert!(authorize(&jwt, &asked).await.is_ok());
}

/// RFC 9864 names the algorithm of an Ed25519 key after it; before, it was `EdDSA`.
#[tokio::test]
async fn both_names_of_ed25519_are_taken_from_keys_and_tokens() {
    let (ed, other, secret) = (Key::ed25519(), Key::ed25519(), Key::secret(SECRET));
    let claims = claims(json!({}));
    for stated in [json!("Ed25519"), json!("EdDSA"), json!(null)] {
        let mut jwk = ed.jwk("ed");
        if !stated.is_null() {
            jwk["alg"] = stated.clone();
        }
        let jwks = json!({ "keys": [jwk, Key::p256().jwk("ec")] }).to_string();
        let jwt = Jwt::from_jwks(&jwks).unwrap();
        for (alg, key, welcome) in [
            ("Ed25519", &ed, true),
            ("EdDSA", &ed, true),
            ("Ed25519", &other, false),
            ("Ed25519", &Key::None, false),
            ("ed25519", &ed, false),
            ("Ed448", &ed, false),
            ("ES256", &ed, false),
            ("HS256", &secret, false),
            ("none", &Key::None, false),
        ] {
            let asked = token(&json!({ "alg": alg, "kid": "ed" }), &claims, key);
            let asked = authorize(&jwt, &asked).await;
            assert_eq!(asked.is_ok(), welcome, "a key for {stated}, {alg}");
        }
    }
    for wrong in ["Ed448", "ES256", "none", "ed25519"] {
        let mut jwk = ed.jwk("ed");
        jwk["alg"] = json!(wrong);
        let jwks = json!({ "keys": [jwk] }).to_string();
        assert!(Jwt::from_jwks(&jwks).is_err(), "{wrong}");
    }
    // The name does not make another key one for Ed25519.
    for key in [Key::p256(), Key::rsa()] {
        let jwt = Jwt::from_public_pem(key.public_pem()).unwrap();
        let forged = token(&json!({ "alg": "Ed25519" }), &claims, &key);
        assert!(authorize(&jwt, &forged).await.is_err());
        let mut jwk = key.jwk("k");
        jwk["alg"] = json!("Ed25519");
        assert!(Jwt::from_jwks(&json!({ "keys": [jwk] }).to_string()).is_err());
    }
    let jwt = Jwt::hs256(ed.public_pem()).unwrap();
    let forged = token(&json!({ "alg": "Ed25519" }), &claims, &ed);
    assert!(authorize(&jwt, &forged).await.is_err());
}

#[tokio::test]
async fn a_header_is_read_strictly() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let claims = claims(json!({})).to_string();
    for header in [
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"a","kid":"b"}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","kid":1}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":null}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":" HS256"}"#,
        r#"["HS256"]"#,
        r#""HS256""#,
        "{}",
        "",
        "\u{feff}{\"alg\":\"HS256\"}",
        r#"{"alg":"HS256"}{"alg":"HS256"}"#,
    ] {
        let asked = tokens::token_of_text(header, &claims, &Key::secret(SECRET));
        assert!(
            authorize(&jwt, &asked).await.is_err(),
            "{header} was accepted"
        );
    }
    let mut deep = format!(
        r#"{{"alg":"HS256","x":{}1{}}}"#,
        "[".repeat(100),
        "]".repeat(100)
    );
    let asked = tokens::token_of_text(&deep, &claims, &Key::secret(SECRET));
    assert!(authorize(&jwt, &asked).await.is_ok());
    deep.truncate(deep.len() - 1);
    let asked = tokens::token_of_text(&deep, &claims, &Key::secret(SECRET));
    assert!(authorize(&jwt, &asked).await.is_err());
}

#[test]
fn bad_keys_are_refused_with_a_cure() {
    let ed = Key::ed25519();
    let twice = json!({ "keys": [ed.jwk("a"), Key::p256().jwk("a")] }).to_string();
    let weak = json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] }).to_string();
    for (refused, cure) in [
        (Jwt::hs256("31 bytes are not quite enough..").err(), "32"),
        (Jwt::hs256("").err(), "32"),
        (
            Jwt::hs256(SECRET).unwrap().with_previous("short").err(),
            "32",
        ),
        (Jwt::from_public_pem(ed.private_pem()).err(), "public half"),
        (
            Jwt::from_public_pem(Key::p384().public_pem()).err(),
            "P-256",
        ),
        (Jwt::from_public_pem("").err(), "PEM"),
        (Jwt::from_public_pem(SECRET).err(), "PEM"),
        (
            Jwt::from_public_pem(ed.public_pem())
                .unwrap()
                .with_previous(SECRET)
                .err(),
            "JWKS",
        ),
        (Jwt::from_jwks("").err(), "JWKS"),
        (Jwt::from_jwks(r#"{"keys":[]}"#).err(), "no key"),
        (Jwt::from_jwks(&weak).err(), "no key"),
        (Jwt::from_jwks(&twice).err(), "kid"),
        (Signer::hs256("short").err(), "32"),
    ] {
        let message = refused.expect(cure).to_string();
        assert!(message.contains(cure), "{message:?} lacks {cure:?}");
    }
}

#[tokio::test]
async fn a_rotation_takes_both_secrets_for_a_while() {
    let during = Jwt::hs256(OTHER_SECRET)
        .unwrap()
        .with_previous(SECRET)
        .unwrap();
    let after = Jwt::hs256(OTHER_SECRET).unwrap();
    let old = hs256(&claims(json!({})));
    let new = token(
        &json!({ "alg": "HS256" }),
        &claims(json!({})),
        &Key::secret(OTHER_SECRET),
    );

    assert!(authorize(&during, &old).await.is_ok());
    assert!(authorize(&during, &new).await.is_ok());
    assert!(authorize(&after, &old).await.is_err());
    assert!(authorize(&after, &new).await.is_ok());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let signer = Signer::hs256(SECRET).unwrap();
    let shown = format!("{jwt:?} {signer:?}");
    assert!(!shown.contains("32 bytes"), "{shown}");
}
