//! Revocations of a served binary.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::binary::{ServedBinary, Workdir};

async fn status(served: &ServedBinary, token: &str) -> u16 {
    let url = format!("{}/v1/feeds/alice", served.public);
    let request = reqwest::Client::new().get(url).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

async fn revoke(served: &ServedBinary, admin: &str, revocation: &Value) {
    let url = format!("{}/v1/revocations", served.public);
    let request = reqwest::Client::new().post(url).bearer_auth(admin);
    let answer = request.json(revocation).send().await.unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn what_was_revoked_stays_revoked_through_kill_9() {
    let workdir = Workdir::new();
    let served = workdir.serve(&[]).await;
    let old = workdir.token(&[]).await;
    let admin = [
        "token",
        "--jwt-secret-file",
        "secret.txt",
        "--sub",
        "desk",
        "--scope",
        "admin",
    ];
    let admin = workdir.prints(&admin).await.trim().to_owned();
    assert_eq!(status(&served, &old).await, 200);
    // Later than the old token's second, and not too far ahead.
    let before = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
    let revocation = json!({ "subject": "alice", "issued_before": before.to_string() });
    revoke(&served, &admin, &revocation).await;
    assert_eq!(status(&served, &old).await, 401);
    served.signal(Signal::KILL);
    served.exit_code().await;

    let served = workdir.serve(&[]).await;
    assert_eq!(status(&served, &old).await, 401);
    let other = workdir.prints(&[
        "token",
        "--jwt-secret-file",
        "secret.txt",
        "--sub",
        "bob",
        "--accounts",
        "alice",
    ]);
    assert_eq!(status(&served, other.await.trim()).await, 200);
}
