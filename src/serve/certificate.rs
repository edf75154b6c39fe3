use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

/// When a server's certificate counts: while all certificates of its chain do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validity {
    /// The first instant.
    pub from: Timestamp,
    /// The last instant.
    pub until: Timestamp,
}

/// The certificate chain of a server.
#[derive(Debug)]
pub(super) struct CertificateChain {
    file: PathBuf,
    /// `None` if a certificate is one that the parser cannot read. rustls may nevertheless use it.
    pub(super) validity: Option<Validity>,
}

impl CertificateChain {
    pub(super) fn new(file: &Path, chain: &[CertificateDer<'_>]) -> Self {
        Self {
            file: file.to_owned(),
            validity: Validity::of(chain),
        }
    }

    /// Why clients refuse the chain at `now`, if its dates are the reason.
    pub(super) fn warning_at(&self, now: Timestamp) -> Option<String> {
        let file = self.file.display();
        let Some(Validity { from, until }) = self.validity else {
            return Some(format!("{file}: cannot read when the certificate expires"));
        };
        if now > until {
            return Some(format!(
                "{file}: the certificate expired at {until}, so clients refuse it: renew it"
            ));
        }
        (now < from).then(|| {
            format!(
                "{file}: the certificate is not valid before {from}, so clients refuse it until then"
            )
        })
    }

    /// Records the chain's end as a metric, and logs the warning.
    pub(super) fn report(&self) {
        if let Some(validity) = self.validity {
            metrics::describe_gauge!(
                "tallycast_certificate_expires_seconds",
                metrics::Unit::Seconds,
                "When the first certificate of the server's chain expires, in Unix time."
            );
            // Exact: Unix time has far fewer digits than a float.
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let seconds = validity.until.as_second() as f64;
            metrics::gauge!("tallycast_certificate_expires_seconds").set(seconds);
        }
        if let Some(warning) = self.warning_at(Timestamp::now()) {
            tracing::warn!("{warning}");
        }
    }
}

impl Validity {
    /// `None` if there is no certificate, or one that cannot be read.
    fn of(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let dates: Option<Vec<_>> = chain.iter().map(Self::of_one).collect();
        dates?.into_iter().reduce(|chain, one| Self {
            from: chain.from.max(one.from),
            until: chain.until.min(one.until),
        })
    }

    fn of_one(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        Some(Self {
            from: instant(validity.not_before),
            until: instant(validity.not_after),
        })
    }
}

/// A certificate without an end says 9999-12-31, which is a day later than the last that we can express.
fn instant(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    let range = Timestamp::MIN.as_second()..=Timestamp::MAX.as_second();
    let seconds = seconds.clamp(*range.start(), *range.end());
    Timestamp::from_second(seconds).expect("it is within the range")
}
