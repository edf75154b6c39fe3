//! Who gets a grant, and who does not.

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use tallycast::{Account, Accounts, Authorize, Denied, Grant, Jwt, Scope, Scopes, Signer};

use super::forge::{self, Key, OTHER_SECRET, SECRET, claims, hs256, seconds, token};

fn account(name: &str) -> Account {
    Account::parse(name).unwrap()
}

async fn ask(jwt: &Jwt, token: &str) -> Result<Grant, Denied> {
    jwt.authorize(token).await
}

async fn grant(changes: Value) -> Grant {
    let jwt = Jwt::hs256(SECRET).unwrap();
    ask(&jwt, &hs256(&claims(changes))).await.unwrap()
}

#[tokio::test]
async fn a_plain_token_watches_the_account_of_its_subject() {
    let exp = seconds(3600);
    let grant = grant(json!({ "exp": exp })).await;

    assert_eq!(grant.subject(), "alice");
    assert_eq!(grant.sole_account(), Some(account("alice")));
    assert_eq!(grant.scopes(), Scope::Watch.into());
    assert!(grant.permits(&account("alice")));
    assert!(!grant.permits(&account("bob")));
    assert!(!grant.allows(Scope::Record));
    assert_eq!(
        grant.expires_at(),
        Some(Timestamp::from_second(exp).unwrap())
    );
}

#[tokio::test]
async fn scope_is_taken_word_by_word() {
    for (words, expected) in [
        ("record", "record"),
        ("admin  watch push record", "watch record push admin"),
        ("openid profile watch", "watch"),
        ("openid", ""),
        ("WATCH watching", ""),
        ("", ""),
    ] {
        let grant = grant(json!({ "scope": words })).await;
        assert_eq!(grant.scopes().to_string(), expected, "{words:?}");
    }
}

#[tokio::test]
async fn accounts_are_a_list_or_all() {
    let listed = grant(json!({ "accounts": ["b", "a", "b"] })).await;
    assert!(listed.permits(&account("a")) && listed.permits(&account("b")));
    assert!(!listed.permits(&account("alice")), "the list replaces sub");
    assert_eq!(listed.sole_account(), None);

    let one = grant(json!({ "accounts": ["b"] })).await;
    assert_eq!(one.sole_account(), Some(account("b")));

    let all = grant(json!({ "accounts": "*" })).await;
    assert!(all.permits(&account("anyone")) && all.accounts().is_all());
    assert_eq!(all.sole_account(), None);

    let star = grant(json!({ "accounts": ["*"] })).await;
    assert!(!star.permits(&account("anyone")), "an account named *");

    let none = grant(json!({ "accounts": [] })).await;
    assert!(!none.permits(&account("alice")));
}

#[tokio::test]
async fn a_subject_that_is_no_account_gets_none() {
    let grant = grant(json!({ "sub": "service/shop" })).await;
    assert_eq!(grant.sole_account(), None);
    assert!(!grant.permits(&account("service")));
}

#[tokio::test]
async fn claims_of_the_wrong_form_are_refused() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let too_many: Vec<_> = (0..1_001).map(|one| one.to_string()).collect();
    for changes in [
        json!({ "exp": null }),
        json!({ "exp": seconds(3600).to_string() }),
        json!({ "exp": -1 }),
        json!({ "exp": i64::MIN }),
        json!({ "exp": 0 }),
        json!({ "exp": seconds(0) }),
        json!({ "exp": seconds(-1) }),
        json!({ "exp": seconds(3600) as f64 + 0.5 }),
        json!({ "exp": u64::MAX }),
        json!({ "exp": i64::MAX }),
        json!({ "exp": 1e300 }),
        json!({ "exp": seconds(3600) * 1_000 }),
        json!({ "exp": seconds(101 * 366 * 86_400) }),
        json!({ "exp": true }),
        json!({ "exp": [seconds(3600)] }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "nbf": seconds(120) }),
        json!({ "nbf": u64::MAX }),
        json!({ "nbf": "0" }),
        json!({ "nbf": -1 }),
        json!({ "scope": ["watch"] }),
        json!({ "scope": 1 }),
        json!({ "accounts": "alice" }),
        json!({ "accounts": ["a/b"] }),
        json!({ "accounts": [""] }),
        json!({ "accounts": [1] }),
        json!({ "accounts": { "a": true } }),
        json!({ "accounts": too_many }),
        json!({ "aud": "somebody else" }),
    ] {
        let denied = ask(&jwt, &hs256(&claims(changes.clone()))).await;
        assert!(denied.is_err(), "{changes} was let in: {denied:?}");
    }
}

#[tokio::test]
async fn null_and_doubled_claims_are_refused() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let exp = seconds(3600);
    for text in [
        format!(r#"{{"sub":"alice","exp":{exp},"scope":null}}"#),
        format!(r#"{{"sub":"alice","exp":{exp},"accounts":null}}"#),
        format!(r#"{{"sub":"alice","exp":{exp},"nbf":null}}"#),
        r#"{"sub":"alice","exp":null}"#.to_owned(),
        format!(r#"{{"sub":"alice","sub":"bob","exp":{exp}}}"#),
        r#"{"sub":"alice","exp":1e400}"#.to_owned(),
        format!(r#"{{"sub":"\ud800","exp":{exp}}}"#),
        format!(r#"[{exp}]"#),
        "[".repeat(3_000),
        String::new(),
    ] {
        let token = forge::token_of_text(r#"{"alg":"HS256"}"#, &text, &Key::secret(SECRET));
        assert!(ask(&jwt, &token).await.is_err(), "{text} was let in");
    }
}

#[tokio::test]
async fn a_clock_a_little_behind_the_issuers_does_no_harm() {
    let grant = grant(json!({ "nbf": seconds(20) })).await;
    assert_eq!(grant.subject(), "alice");
}

#[tokio::test]
async fn the_key_chooses_the_algorithm() {
    let rsa = Key::rsa();
    let public = rsa.public_pem();
    let jwt = Jwt::from_public_pem(&public).unwrap();
    let claims = claims(json!({}));

    let honest = token(&json!({ "alg": "RS256" }), &claims, &rsa);
    assert!(ask(&jwt, &honest).await.is_ok());

    for (header, key) in [
        // The classic: the public key, which everyone has, as the secret.
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
        assert!(ask(&jwt, &forged).await.is_err(), "{header} was let in");
    }
    // The right key, by an algorithm that it was not configured for.
    let other = forge::sha512_token(&claims, &rsa);
    assert!(ask(&jwt, &other).await.is_err());
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
        assert!(ask(&jwt, &forged).await.is_err(), "{header} was let in");
    }
    let other = forge::sha512_token(&claims, &Key::secret(SECRET));
    assert!(ask(&jwt, &other).await.is_err());
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
        assert!(ask(&jwt, &forged).await.is_err(), "{header} was obeyed");

        let mut empty = header.clone();
        empty["alg"] = json!("HS256");
        let empty = token(&empty, &claims, &Key::secret(""));
        assert!(ask(&jwt, &empty).await.is_err(), "{header} was obeyed");

        let mut honest = header.clone();
        honest["alg"] = json!("HS256");
        let honest = token(&honest, &claims, &Key::secret(SECRET));
        assert!(ask(&jwt, &honest).await.is_ok(), "{header} did harm");
    }
}

#[tokio::test]
async fn every_kind_of_public_key_works() {
    for (name, key) in [
        ("EdDSA", Key::ed25519()),
        ("ES256", Key::p256()),
        ("RS256", Key::rsa()),
    ] {
        let jwt = Jwt::from_public_pem(key.public_pem()).unwrap();
        let honest = token(&json!({ "alg": name }), &claims(json!({})), &key);
        assert!(ask(&jwt, &honest).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn kid_chooses_among_the_keys_of_a_jwks() {
    let (ed, ec, rsa) = (Key::ed25519(), Key::p256(), Key::rsa());
    let unusable = json!({ "kid": "later", "kty": "OKP", "crv": "X448", "x": "AA" });
    let symmetric = json!({ "kid": "oct", "kty": "oct", "k": forge::base64_url(SECRET) });
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
        assert_eq!(ask(&jwt, &asked).await.is_ok(), welcome, "{alg} by {kid:?}");
    }
    let nameless = token(&json!({ "alg": "RS256" }), &claims, &rsa);
    assert!(ask(&jwt, &nameless).await.is_err(), "which of three?");
}

#[tokio::test]
async fn a_jwks_of_one_key_needs_no_kid() {
    let ed = Key::ed25519();
    let jwks = json!({ "keys": [ed.jwk("only")] }).to_string();
    let jwt = Jwt::from_jwks(&jwks).unwrap();
    let asked = token(&json!({ "alg": "EdDSA" }), &claims(json!({})), &ed);
    assert!(ask(&jwt, &asked).await.is_ok());
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

    assert!(ask(&during, &old).await.is_ok());
    assert!(ask(&during, &new).await.is_ok());
    assert!(ask(&after, &old).await.is_err());
    assert!(ask(&after, &new).await.is_ok());
}

#[tokio::test]
async fn audience_and_issuer_are_compared_if_configured() {
    let jwt = Jwt::hs256(SECRET)
        .unwrap()
        .with_audience("tally")
        .with_issuer("https://id.example.com");
    for (changes, welcome) in [
        (
            json!({ "aud": "tally", "iss": "https://id.example.com" }),
            true,
        ),
        (
            json!({ "aud": ["x", "tally"], "iss": "https://id.example.com" }),
            true,
        ),
        (
            json!({ "aud": "tally", "iss": "https://id.example.com/" }),
            false,
        ),
        (
            json!({ "aud": "Tally", "iss": "https://id.example.com" }),
            false,
        ),
        (json!({ "aud": [], "iss": "https://id.example.com" }), false),
        (json!({ "aud": 1, "iss": "https://id.example.com" }), false),
        (json!({ "iss": "https://id.example.com" }), false),
        (json!({ "aud": "tally" }), false),
    ] {
        let asked = ask(&jwt, &hs256(&claims(changes.clone()))).await;
        assert_eq!(asked.is_ok(), welcome, "{changes}");
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let good = hs256(&claims(json!({})));
    let dots = ".".repeat(8_000);
    let padded = format!("{good}=");
    let cut = &good[..good.len() - 1];
    let stripped = format!("{}.", good.rsplit_once('.').unwrap().0);
    for token in [
        "", ".", "..", "...", "a.b.c", "Bearer", "ы", "\0", &dots, &padded, cut, &stripped,
    ] {
        assert!(ask(&jwt, token).await.is_err(), "{token:?} was let in");
    }
}

#[tokio::test]
async fn a_token_of_a_million_accounts_is_refused_unread() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let million: Vec<_> = (0..1_000_000).map(|one| format!("account-{one}")).collect();
    let huge = hs256(&claims(json!({ "accounts": million })));
    let denied = ask(&jwt, &huge).await.unwrap_err();
    assert_eq!(denied.code(), "unauthorized");
    assert_eq!(denied.reason(), "a token of over 8 KiB");
}

#[tokio::test]
async fn denials_differ_in_nothing_but_the_hidden_reason() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let expired = ask(&jwt, &hs256(&claims(json!({ "exp": seconds(-9) }))))
        .await
        .unwrap_err();
    let forged = ask(&jwt, "a.b.c").await.unwrap_err();

    assert_ne!(expired.reason(), forged.reason());
    assert_eq!(expired.to_string(), forged.to_string());
    assert_eq!(expired.code(), forged.code());
}

#[tokio::test]
async fn what_the_signer_signs_reads_back_as_the_same_grant() {
    let until = Timestamp::from_second(seconds(3600)).unwrap();
    let signer = Signer::hs256(SECRET).unwrap().with_audience("tally");
    let jwt = Jwt::hs256(SECRET).unwrap().with_audience("tally");
    for grant in [
        Grant::new("alice", Scope::Watch, Accounts::only(account("alice"))),
        Grant::new("shop", Scopes::all(), Accounts::all()),
        Grant::new("a/b", [Scope::Record, Scope::Push], Accounts::list([])),
        Grant::new(
            "Ünï \"q\"",
            Scopes::default(),
            Accounts::list([account("b"), account("a")]),
        ),
    ] {
        let grant = grant.expiring_at(until);
        let token = signer.sign(&grant).unwrap();
        assert_eq!(ask(&jwt, &token).await.unwrap(), grant);
    }
}

#[test]
fn a_grant_without_an_end_is_not_signed() {
    let signer = Signer::hs256(SECRET).unwrap();
    let endless = Grant::new("alice", Scope::Watch, Accounts::all());
    let before_time = endless
        .clone()
        .expiring_at(Timestamp::UNIX_EPOCH - 1.hour());
    assert!(signer.sign(&endless).is_err());
    assert!(signer.sign(&before_time).is_err());
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let signer = Signer::hs256(SECRET).unwrap();
    let shown = format!("{jwt:?} {signer:?}");
    assert!(!shown.contains("32 bytes"), "{shown}");
}

#[test]
fn a_slip_in_a_scope_word_is_an_error_at_the_command_line() {
    assert_eq!(
        Scopes::parse("watch record").unwrap().to_string(),
        "watch record"
    );
    assert!(Scopes::parse("watch recrod").is_err());
}
