use serde_json::json;

use crate::support::api_server::ApiServer;

#[tokio::test]
async fn what_is_no_time_zone_is_refused_on_every_machine() {
    let server = ApiServer::start().await;
    let long = "Europe/".to_owned() + &"A".repeat(10_000);
    for name in [
        "",
        " UTC",
        "UTC+25",
        "+08:00",
        "GMT+8",
        "CST-8",
        "EST5EDT,M3.2.0,M11.1.0",
        "Local",
        "localtime",
        "posixrules",
        "posix/Europe/Paris",
        "right/Europe/Paris",
        "Etc/Unknown",
        "Europe",
        "Europe/",
        "/usr/share/zoneinfo/Europe/Paris",
        "../../etc/passwd",
        "Europe/../Europe/Paris",
        "Europe/Paris\u{0}",
        "Europe/Paris\n",
        "Europe\\Paris",
        "Еurope/Paris",
        &long,
    ] {
        let refused = server.edit("alice", &json!({ "time_zone": name })).await;
        assert_eq!(refused.status, 400, "{name:.40}");
        assert_eq!(refused.refusal(), (400, "unknown_time_zone"), "{name:.40}");
    }
}
