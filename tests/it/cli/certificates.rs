//! The dates of the server's certificate.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::{
    binary::{ServedBinary, Workdir},
    permissions::set_mode,
};

/// The days on which a certificate begins and ends, as year, month, day.
type Dates = [(i32, u8, u8); 2];

const NOW: Dates = [(2001, 1, 1), (2999, 1, 1)];
const PAST: Dates = [(2001, 1, 1), (2002, 2, 2)];
const FUTURE: Dates = [(2998, 3, 4), (2999, 1, 1)];
const NO_END: Dates = [(2001, 1, 1), (9999, 12, 31)];

const SETTINGS: [&str; 4] = [
    "--tls-certificate-file",
    "chain.crt",
    "--tls-key-file",
    "server.key",
];

/// A folder with a key, and a chain of self-signed certificates, the server's own first.
fn workdir(chain: &[Dates]) -> Workdir {
    let key = KeyPair::generate().unwrap();
    let certificates = chain.iter().map(|[from, until]| {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        params.self_signed(&key).unwrap().pem()
    });
    let workdir = Workdir::new();
    workdir.write("chain.crt", &certificates.collect::<String>());
    set_mode(&workdir.write("server.key", &key.serialize_pem()), 0o600);
    workdir
}

async fn serve(workdir: &Workdir) -> ServedBinary {
    let args = [["--ledger", "memory"].as_slice(), &SETTINGS].concat();
    workdir.serve(&args).await
}

async fn metrics(served: &ServedBinary) -> String {
    let url = format!("{}/metrics", served.admin);
    reqwest::get(url).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_certificate_that_clients_refuse_is_told_at_start() {
    for (chain, told) in [
        (&[NOW] as &[Dates], None),
        (&[NO_END], None),
        (&[PAST], Some("expired at 2002-02-02T00:00:00Z")),
        (&[FUTURE], Some("not valid before 2998-03-04T00:00:00Z")),
        // The rest of the chain counts as well.
        (&[NOW, NOW], None),
        (&[NOW, PAST], Some("expired at 2002-02-02T00:00:00Z")),
        (
            &[NOW, NO_END, FUTURE],
            Some("not valid before 2998-03-04T00:00:00Z"),
        ),
    ] {
        let workdir = workdir(chain);
        let log = serve(&workdir).await.ended().await;
        let check = ["check-config", "--jwt-secret-file", "secret.txt"];
        let checked = workdir.run(&[check.as_slice(), &SETTINGS].concat()).await;
        assert!(checked.status.success(), "{checked:?}");
        let checked = String::from_utf8(checked.stderr).unwrap();
        for log in [log, checked] {
            let lines: Vec<_> = log
                .lines()
                .filter(|line| line.contains("chain.crt"))
                .collect();
            assert_eq!(lines.len(), usize::from(told.is_some()), "{chain:?}: {log}");
            if let Some(told) = told {
                assert!(lines[0].contains(told), "{chain:?}: {log}");
            }
        }
    }
}

#[tokio::test]
async fn the_end_of_the_certificate_is_a_metric() {
    for (chain, end) in [
        (&[PAST] as &[Dates], 1_012_608_000_i64),
        (&[NOW], 32_472_144_000),
        (&[NOW, PAST], 1_012_608_000),
        (&[PAST, NOW], 1_012_608_000),
    ] {
        let workdir = workdir(chain);
        let served = serve(&workdir).await;
        let metrics = metrics(&served).await;
        let name = "tallycast_certificate_expires_seconds";
        let lines: Vec<_> = metrics.lines().filter(|line| line.contains(name)).collect();
        assert_eq!(lines.len(), 3, "{metrics}");
        assert!(
            lines[0].starts_with("# HELP") && lines[0].contains("Unix time"),
            "{metrics}"
        );
        assert_eq!(lines[1], format!("# TYPE {name} gauge"));
        assert_eq!(lines[2], format!("{name} {end}"));
    }
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let metrics = metrics(&served).await;
    assert!(!metrics.contains("certificate"), "{metrics}");
}
