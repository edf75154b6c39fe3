use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::support::{binary::Workdir, tokens::seconds};

#[tokio::test]
async fn token_opens_its_account_and_no_other() {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    for (more, account, status) in [
        (&[] as &[&str], "alice", 200),
        (&["--ttl", "7d"], "alice", 200),
        (&[], "bob", 404),
        (&["--accounts", "bob,carol"], "carol", 200),
        (&["--accounts", "bob,carol"], "alice", 404),
        (&["--accounts", "*"], "anyone", 200),
        (
            &["--accounts", "*", "--scope", "record push admin"],
            "anyone",
            404,
        ),
        (
            &["--accounts", "*", "--scope", "watch record push admin"],
            "anyone",
            200,
        ),
    ] {
        let token = workdir.token(more).await;
        let url = format!("{}/v1/feeds/{account}", served.public);
        let answer = reqwest::Client::new()
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), status, "{more:?} {account}");
    }
}

#[tokio::test]
async fn each_token_can_be_named_in_a_revocation() {
    let workdir = Workdir::new();
    let before = seconds(0);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let token = workdir.token(&[]).await;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap());
        let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
        let issued_at = claims["iat"].as_i64().unwrap();
        assert!((before..=seconds(0)).contains(&issued_at), "{claims}");
        ids.push(claims["jti"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[0].len(), 32);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn slips_are_told() {
    let workdir = Workdir::new();
    for (more, culprit) in [
        (&["--scope", "wach"] as &[&str], "wach"),
        (&["--ttl", "soon"], "--ttl"),
        (&["--ttl", "0s"], "--ttl"),
        (&["--ttl", "1mo"], "--ttl"),
        (&["--accounts", "a,,b"], "account"),
        (&["--accounts", "a/b"], "account"),
    ] {
        let args = ["token", "--jwt-secret-file", "secret.txt", "--sub", "alice"];
        let (line, code) = workdir.refusal(&[&args, more].concat()).await;
        assert!(line.contains(culprit), "{more:?}: {line}");
        assert_eq!(code, 2);
    }
    let (line, code) = workdir.refusal(&["token", "--sub", "alice"]).await;
    assert!(line.contains("--jwt-secret-file"), "{line}");
    assert_eq!(code, 2);
}
