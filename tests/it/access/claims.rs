//! The grant that a token's claims give, and the claims that are refused.

use jiff::Timestamp;
use serde_json::json;
use tallycast::{Jwt, Scope};

use super::{authorize, grant};
use crate::support::{
    feed_hub::account,
    tokens::{self, Key, SECRET, claims, hs256, seconds},
};

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
        json!({ "exp": seconds(-1) as f64 + 0.25 }),
        json!({ "exp": -0.5 }),
        json!({ "exp": seconds(101 * 366 * 86_400) as f64 + 0.5 }),
        json!({ "exp": (seconds(3600) as f64 + 0.5).to_string() }),
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
        json!({ "nbf": seconds(120) as f64 + 0.5 }),
        json!({ "nbf": 1e300 }),
        json!({ "nbf": -0.5 }),
        json!({ "nbf": u64::MAX }),
        json!({ "nbf": "0" }),
        json!({ "nbf": -1 }),
        json!({ "iat": seconds(-5).to_string() }),
        json!({ "iat": 1e300 }),
        json!({ "iat": true }),
        json!({ "jti": 7 }),
        json!({ "jti": ["id"] }),
        json!({ "scope": ["watch"] }),
        json!({ "scope": 1 }),
        json!({ "accounts": "alice" }),
        json!({ "accounts": ["a/b"] }),
        json!({ "accounts": [""] }),
        json!({ "accounts": [1] }),
        json!({ "accounts": { "a": true } }),
        json!({ "accounts": too_many }),
        json!({ "aud": "somebody else" }),
        json!({ "aud": [] }),
        json!({ "aud": 1 }),
    ] {
        let denied = authorize(&jwt, &hs256(&claims(changes.clone()))).await;
        assert!(denied.is_err(), "{changes} was accepted: {denied:?}");
    }
}

/// RFC 7519 section 2: a time is a number of seconds, and may have a fraction.
#[tokio::test]
async fn times_may_have_a_fraction() {
    let exp = seconds(3600);
    let granted =
        grant(json!({ "exp": exp as f64 + 0.5, "nbf": seconds(-1) as f64 + 0.25, "iat": 0.5 }));
    let end = Timestamp::from_second(exp).unwrap() + jiff::SignedDuration::from_millis(500);
    assert_eq!(granted.await.expires_at(), Some(end));
    let jwt = Jwt::hs256(SECRET).unwrap();
    for (exp, seconds) in [
        (format!("{exp}.0"), exp),
        (format!("{exp}e0"), exp),
        (format!("{exp}0E-1"), exp),
    ] {
        let claims = format!(r#"{{"sub":"alice","exp":{exp},"nbf":1e9}}"#);
        let token = tokens::token_of_text(r#"{"alg":"HS256"}"#, &claims, &Key::secret(SECRET));
        let end = Timestamp::from_second(seconds).unwrap();
        let grant = authorize(&jwt, &token).await.expect(&exp);
        assert_eq!(grant.expires_at(), Some(end), "{exp}");
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
        format!(r#"{{"sub":"alice","exp":{exp},"iat":null}}"#),
        format!(r#"{{"sub":"alice","exp":{exp},"jti":null}}"#),
        format!(r#"{{"sub":"alice","exp":{exp},"aud":null}}"#),
        format!(r#"{{"sub":"alice","exp":{exp},"exp":{exp}}}"#),
        r#"{"sub":"alice","exp":null}"#.to_owned(),
        format!(r#"{{"sub":"alice","sub":"bob","exp":{exp}}}"#),
        r#"{"sub":"alice","exp":1e400}"#.to_owned(),
        format!(r#"{{"sub":"\ud800","exp":{exp}}}"#),
        format!(r#"[{exp}]"#),
        "[".repeat(3_000),
        String::new(),
    ] {
        let token = tokens::token_of_text(r#"{"alg":"HS256"}"#, &text, &Key::secret(SECRET));
        assert!(
            authorize(&jwt, &token).await.is_err(),
            "{text} was accepted"
        );
    }
}

#[tokio::test]
async fn a_clock_a_little_behind_the_issuers_does_no_harm() {
    let grant = grant(json!({ "nbf": seconds(20) })).await;
    assert_eq!(grant.subject(), "alice");
}

#[tokio::test]
async fn what_a_revocation_can_name_is_read() {
    let plain = grant(json!({})).await;
    assert_eq!((plain.token_id(), plain.issued_at()), (None, None));
    for (iat, issued) in [
        (json!(1_700_000_000), "2023-11-14T22:13:20Z"),
        (json!(1_700_000_000.25), "2023-11-14T22:13:20.25Z"),
        (json!(0), "1970-01-01T00:00:00Z"),
    ] {
        let grant = grant(json!({ "iat": iat, "jti": "a/b \u{202e}é" })).await;
        assert_eq!(grant.issued_at(), Some(issued.parse().unwrap()), "{iat}");
        assert_eq!(grant.token_id(), Some("a/b \u{202e}é"));
    }
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
        (
            json!({ "aud": "tally", "iss": ["https://id.example.com"] }),
            false,
        ),
        (json!({ "aud": "tally", "iss": null }), false),
        (json!({ "iss": "https://id.example.com" }), false),
        (json!({ "aud": "tally" }), false),
    ] {
        let asked = authorize(&jwt, &hs256(&claims(changes.clone()))).await;
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
        assert!(
            authorize(&jwt, token).await.is_err(),
            "{token:?} was accepted"
        );
    }
}

#[tokio::test]
async fn a_token_of_a_million_accounts_is_refused_unread() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let million: Vec<_> = (0..1_000_000).map(|one| format!("account-{one}")).collect();
    let huge = hs256(&claims(json!({ "accounts": million })));
    let denied = authorize(&jwt, &huge).await.unwrap_err();
    assert_eq!(denied.code(), "unauthorized");
    assert_eq!(denied.reason(), "a token of over 8 KiB");
}

#[tokio::test]
async fn denials_differ_in_nothing_but_the_hidden_reason() {
    let jwt = Jwt::hs256(SECRET).unwrap();
    let expired = authorize(&jwt, &hs256(&claims(json!({ "exp": seconds(-9) }))))
        .await
        .unwrap_err();
    let forged = authorize(&jwt, "a.b.c").await.unwrap_err();

    assert_ne!(expired.reason(), forged.reason());
    assert_eq!(expired.to_string(), forged.to_string());
    assert_eq!(expired.code(), forged.code());
}
