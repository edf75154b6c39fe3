//! F1: a stranger opens sessions by polling, which outlive their connections.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Plan, findings::Findings, http},
    Bounds, Flood, nothing,
    pump::{Answers, Pump},
};

const BOUNDS: Bounds = Bounds {
    mib_max: Some(100),
    p50_times_max: None,
    p99_times_max: None,
};
const OPENING: &[u8] =
    b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: tallycast\r\n\r\n";
const PIPELINED: u64 = 50;
/// Sessions that the documented limits let one connection open at once, and then each second.
const OF_A_CONNECTION: (u64, u64) = (50, 5);
/// The same, of one address.
const OF_AN_ADDRESS: (u64, u64) = (2_000, 200);

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let two = Strangers {
        name: "two connections",
        connections: 2,
        reconnects: false,
        may_open: (2 * OF_A_CONNECTION.0, 2 * OF_A_CONNECTION.1),
    };
    two.run(&plan, &mut findings).await;
    let ever_new = Strangers {
        name: "ever new connections",
        connections: 8,
        reconnects: true,
        may_open: OF_AN_ADDRESS,
    };
    ever_new.run(&plan, &mut findings).await;
    findings
}

/// Connections from one address that open sessions.
struct Strangers {
    name: &'static str,
    connections: usize,
    reconnects: bool,
    /// How many sessions they may open at once, and then each second.
    may_open: (u64, u64),
}

impl Strangers {
    async fn run(&self, plan: &Plan, findings: &mut Findings) {
        let lasts = Duration::from_secs(plan.either(2, 20));
        let flood = Flood::new(self.name, plan, BOUNDS);
        let opening = flood.run(findings, nothing, async |server| {
            let pump = Pump {
                server: server.public,
                from: vec![http::address(1); self.connections],
                depth: PIPELINED,
                reconnects: self.reconnects,
                request: Arc::new(|_| OPENING.to_vec()),
            };
            pump.run(lasts).await
        });
        let (answers, cost) = opening.await;
        self.check(&answers, cost.lasted, findings);
    }

    fn check(&self, answers: &Answers, lasted: Duration, findings: &mut Findings) {
        let name = self.name;
        findings.figure(&format!("{name}: answers"), answers);
        let may_open = self.may_open.0 + self.may_open.1 * (lasted.as_secs() + 1);
        findings.check(answers.of(200) <= may_open, || {
            let opened = answers.of(200);
            format!("{name}: {opened} sessions were opened, {may_open} at most")
        });
        findings.check(answers.of(429) > 0, || {
            format!("{name}: nothing was refused")
        });
        findings.check(answers.done() == answers.of(200), || {
            format!("{name}: other answers than 200 and 429")
        });
        findings.check(answers.without_retry_after == 0, || {
            format!("{name}: a refusal without Retry-After")
        });
    }
}
