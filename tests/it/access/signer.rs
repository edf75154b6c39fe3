//! Tokens that the library signs.

use jiff::{Timestamp, ToSpan};
use tallycast::{
    Grant, Jwt, Scope,
    access::{Accounts, Scopes, Signer},
};

use super::authorize;
use crate::support::{
    feed_hub::account,
    tokens::{SECRET, seconds},
};

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
        Grant::new("bob", Scope::Watch, Accounts::all())
            .with_issued_at(until - 2.hours())
            .with_token_id("session \"7\"/é"),
    ] {
        let grant = grant.expiring_at(until);
        let token = signer.sign(&grant).unwrap();
        assert_eq!(authorize(&jwt, &token).await.unwrap(), grant);
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
fn a_slip_in_a_scope_word_is_an_error_at_the_command_line() {
    assert_eq!(
        Scopes::parse("watch record").unwrap().to_string(),
        "watch record"
    );
    assert!(Scopes::parse("watch recrod").is_err());
}
