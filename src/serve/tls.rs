use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::certificate::{CertificateChain, Validity};

/// A server's certificate and private key, ready for [`Serve::tls`](super::Serve::tls).
///
/// It offers TLS 1.2 and 1.3, and HTTP/1.1. Cheap to clone.
///
/// A server that starts with it records when the certificate expires, as the metric
/// `tallycast_certificate_expires_seconds` (Unix time), and logs a warning if clients refuse it by its dates.
#[derive(Clone)]
pub struct Tls {
    pub(super) acceptor: TlsAcceptor,
    pub(super) chain: Arc<CertificateChain>,
}

/// A certificate or key that cannot be used. Prints as one line with the file and the reason.
#[derive(Debug)]
pub struct TlsError {
    file: PathBuf,
    why: String,
}

impl Tls {
    /// Reads a certificate chain (the server's own certificate first) and its private key (PKCS #8,
    /// PKCS #1 or SEC1) from PEM files. It blocks while it reads the files.
    ///
    /// # Errors
    /// When a file cannot be read, holds no certificate or no key, or the key does not match the certificate.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let (certificates, key) = (certificates.as_ref(), key.as_ref());
        let chain = read_chain(certificates)?;
        let dated = CertificateChain::new(certificates, &chain);
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| refused(key, "private key", &error))?;
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("aws_lc_rs offers TLS 1.2 and 1.3")
                .with_no_client_auth()
                .with_single_cert(chain, private)
                .map_err(|error| TlsError {
                    file: key.to_owned(),
                    why: format!("not usable with {}: {error}", certificates.display()),
                })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            chain: Arc::new(dated),
        })
    }

    /// When all certificates of the chain are valid. `None` if that cannot be read from one of them.
    pub fn validity(&self) -> Option<Validity> {
        self.chain.validity
    }

    /// What an operator has to know about the certificate at `now`, on one line with its file: that it has expired, is
    /// not valid yet, or that its dates cannot be read.
    pub fn warning_at(&self, now: Timestamp) -> Option<String> {
        self.chain.warning_at(now)
    }
}

fn read_chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(file, "certificate", &error))?;
    if chain.is_empty() {
        return Err(refused(file, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn refused(file: &Path, wanted: &str, error: &pem::Error) -> TlsError {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!("no {wanted} in it (PEM expected)"),
        other => format!("not a PEM {wanted}: {other}"),
    };
    TlsError {
        file: file.to_owned(),
        why,
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for TlsError {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}
