//! F4: heavy reads of one token, many outstanding at once.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Plan, findings::Findings, http, token},
    Bounds, Flood, STRANGER,
    pump::Pump,
    record,
};

const OUTSTANDING: u64 = 300;
const ADDRESSES: u64 = 30;
const BOUNDS: Bounds = Bounds {
    mib_max: None,
    p50_times_max: Some(1.5),
    p99_times_max: Some(3.0),
};

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let name = "heavy reads";
    let (days, each_day) = plan.either((200, 10), (2_000, 30));
    // A refusal takes up to two seconds.
    let lasts = Duration::from_secs(plan.either(3, 20));
    let request = format!(
        "GET /v1/accounts/{STRANGER}/totals?by=day&from=0001-01-01&to=9999-12-31 HTTP/1.1\r\n\
         Host: tallycast\r\nAuthorization: Bearer {}\r\n\r\n",
        token::watcher(STRANGER)
    );
    let prepare = async |server: &_| record(server, STRANGER, days, each_day).await;
    let flood = Flood::new(name, &plan, BOUNDS);
    let reading = flood.run(&mut findings, prepare, async |server| {
        let numbers = 0..OUTSTANDING;
        let pump = Pump {
            server: server.public,
            from: numbers
                .map(|number| http::address(1 + number % ADDRESSES))
                .collect(),
            depth: 1,
            reconnects: false,
            request: Arc::new(move |_| request.clone().into_bytes()),
        };
        pump.run(lasts).await
    });
    let (answers, _) = reading.await;
    findings.figure(&format!("{name}: answers"), &answers);
    findings.check(answers.of(200) > 0, || "no read was answered".to_owned());
    findings.check(answers.of(429) > 0, || {
        format!("{OUTSTANDING} reads of one token were outstanding, and none was refused")
    });
    findings.check(answers.done() == answers.of(200), || {
        "other answers than 200 and 429".to_owned()
    });
    findings.check(answers.without_retry_after == 0, || {
        "a refusal without Retry-After".to_owned()
    });
    findings
}
