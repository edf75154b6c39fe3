use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};
use tallycast::{Limits, Quotas};

use crate::cli::redact::UrlText;

/// How long a shutdown may take, in seconds: less than the 30 after which Kubernetes kills the process.
const DRAIN_SECONDS: u64 = 10;

/// All settings, under the names that the file and the variables use.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct Config {
    pub(in crate::cli) listen: String,
    pub(in crate::cli) admin_listen: String,
    pub(in crate::cli) flash_policy_listen: Option<String>,
    pub(in crate::cli) ledger: UrlText,
    pub(in crate::cli) jwt_secret: Option<Secret>,
    pub(in crate::cli) jwt_secret_file: Option<PathBuf>,
    pub(in crate::cli) jwt_previous_secret_file: Option<PathBuf>,
    pub(in crate::cli) jwt_public_key_file: Option<PathBuf>,
    pub(in crate::cli) jwt_jwks_file: Option<PathBuf>,
    pub(in crate::cli) jwt_audience: Option<String>,
    pub(in crate::cli) jwt_issuer: Option<String>,
    pub(in crate::cli) allowed_origins: Vec<String>,
    pub(in crate::cli) page: Option<PathBuf>,
    pub(in crate::cli) tls_certificate_file: Option<PathBuf>,
    pub(in crate::cli) tls_key_file: Option<PathBuf>,
    pub(in crate::cli) connections_max: usize,
    pub(in crate::cli) connections_per_peer_max: Option<usize>,
    pub(in crate::cli) trusted_proxies: Vec<String>,
    pub(in crate::cli) sessions_per_address_max: usize,
    pub(in crate::cli) session_rate_per_address: u32,
    pub(in crate::cli) session_rate_per_connection: u32,
    pub(in crate::cli) request_rate_per_address: u32,
    pub(in crate::cli) request_rate_per_subject: u32,
    pub(in crate::cli) event_rate_per_subject: u32,
    pub(in crate::cli) event_rate_per_account: u32,
    pub(in crate::cli) subscriptions_per_address_max: usize,
    pub(in crate::cli) subscriptions_per_subject_max: usize,
    pub(in crate::cli) subscriptions_per_account_max: usize,
    pub(in crate::cli) body_bytes_max: usize,
    pub(in crate::cli) body_bytes_per_client_max: usize,
    pub(in crate::cli) drain_seconds: u64,
    pub(in crate::cli) log: LogFormat,
    pub(in crate::cli) log_level: String,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum LogFormat {
    /// One JSON object per line, for machines
    Json,
    /// For people
    Pretty,
}

/// A value that is never shown: not in messages, not in `check-config`.
#[derive(Clone, Deserialize, Serialize)]
pub(in crate::cli) struct Secret(String);

impl Secret {
    pub(in crate::cli) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

impl Default for Config {
    fn default() -> Self {
        let quotas = Quotas::default();
        Self {
            listen: "127.0.0.1:3000".to_owned(),
            admin_listen: "127.0.0.1:9090".to_owned(),
            flash_policy_listen: None,
            ledger: UrlText::new("sqlite:consumption.db"),
            jwt_secret: None,
            jwt_secret_file: None,
            jwt_previous_secret_file: None,
            jwt_public_key_file: None,
            jwt_jwks_file: None,
            jwt_audience: None,
            jwt_issuer: None,
            allowed_origins: Vec::new(),
            page: None,
            tls_certificate_file: None,
            tls_key_file: None,
            connections_max: Limits::CONNECTIONS_MAX,
            connections_per_peer_max: None,
            trusted_proxies: Vec::new(),
            sessions_per_address_max: quotas.sessions_per_address_max,
            session_rate_per_address: quotas.session_rate_per_address,
            session_rate_per_connection: quotas.session_rate_per_connection,
            request_rate_per_address: quotas.request_rate_per_address,
            request_rate_per_subject: quotas.request_rate_per_subject,
            event_rate_per_subject: quotas.event_rate_per_subject,
            event_rate_per_account: quotas.event_rate_per_account,
            subscriptions_per_address_max: quotas.subscriptions_per_address_max,
            subscriptions_per_subject_max: quotas.subscriptions_per_subject_max,
            subscriptions_per_account_max: quotas.subscriptions_per_account_max,
            body_bytes_max: quotas.body_bytes_max,
            body_bytes_per_client_max: quotas.body_bytes_per_client_max,
            drain_seconds: DRAIN_SECONDS,
            log: LogFormat::Pretty,
            log_level: "info".to_owned(),
        }
    }
}
