use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{effective::EffectiveConfig, values::LogFormat};
use crate::cli::{command_error::CommandError, redact::UrlText};

/// The heading of the quotas in the help. Tokens for all accounts are exempt from most of them.
const QUOTAS: &str = "Limits on one client (not on tokens for all accounts)";

/// The settings as flags.
#[derive(Debug, Args)]
pub(in crate::cli) struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(long, env = "TALLYCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: ConfigFlags,
}

#[derive(Debug, Args, Serialize)]
struct ConfigFlags {
    /// Address for customers and producers; port 0 picks a free one [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    /// Address for health and metrics; do not expose it [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_listen: Option<String>,
    /// Address where Flash players fetch a socket policy file [default: none]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    flash_policy_listen: Option<String>,
    /// sqlite:FILE, or memory for trials: nothing is stored [default: sqlite:consumption.db]
    #[arg(long, value_name = "LEDGER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<UrlText>,
    /// File with the secret that signs tokens, 32 bytes or more
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_secret_file: Option<PathBuf>,
    /// File with the previous secret, during a rotation
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_previous_secret_file: Option<PathBuf>,
    /// PEM file with the public key that verifies tokens (`EdDSA`, ES256, RS256), instead of a secret
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_public_key_file: Option<PathBuf>,
    /// JWKS file with public keys, instead of a secret
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_jwks_file: Option<PathBuf>,
    /// The `aud` claim that tokens must have
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_audience: Option<String>,
    /// The `iss` claim that tokens must have
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_issuer: Option<String>,
    /// Comma-separated origins whose pages may call; '*' for all [default: the server's own]
    #[arg(long, value_delimiter = ',', value_name = "ORIGINS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origins: Option<Vec<String>>,
    /// Folder of a page to serve at / [default: none]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PathBuf>,
    /// PEM file with the certificate chain; turns TLS on
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key_file: Option<PathBuf>,
    /// Most simultaneous connections [default: 100000, or what the limit on open files allows]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_max: Option<usize>,
    /// Most simultaneous connections from one address [default: a quarter of all, at most 4096]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_per_peer_max: Option<usize>,
    /// Comma-separated addresses or CIDR ranges of proxies whose Forwarded and X-Forwarded-For headers are
    /// believed [default: none]
    #[arg(long, value_delimiter = ',', value_name = "CIDRS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxies: Option<Vec<String>>,
    /// Most simultaneous Socket.IO sessions from one address [default: 4096]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_per_address_max: Option<usize>,
    /// Socket.IO sessions opened a second from one address [default: 200]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    session_rate_per_address: Option<u32>,
    /// Socket.IO sessions opened a second over one connection [default: 5]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    session_rate_per_connection: Option<u32>,
    /// Requests a second from one address; a rejected token counts as 20 [default: 2000]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    request_rate_per_address: Option<u32>,
    /// Requests a second of one token subject [default: 500]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    request_rate_per_subject: Option<u32>,
    /// Events a second that one token subject records [default: 1000]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_rate_per_subject: Option<u32>,
    /// Events a second that are recorded for one account [default: 1000]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    event_rate_per_account: Option<u32>,
    /// Most simultaneous subscriptions from one address [default: 8192]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_per_address_max: Option<usize>,
    /// Most simultaneous subscriptions of one token subject [default: 2048]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_per_subject_max: Option<usize>,
    /// Most simultaneous subscriptions to one account [default: 20000]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_per_account_max: Option<usize>,
    /// Most bytes of request bodies in memory [default: 134217728]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes_max: Option<usize>,
    /// Most bytes of request bodies in memory from one address or token subject [default: 33554432]
    #[arg(long, value_name = "NUMBER", help_heading = QUOTAS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes_per_client_max: Option<usize>,
    /// How long a shutdown may take to close all connections [default: 10]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// Format of log lines, on stderr [default: pretty]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<LogFormat>,
    /// error, warn, info, debug, trace, or directives such as info,tallycast=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
}

impl ConfigArgs {
    pub(in crate::cli) fn load(&self) -> Result<EffectiveConfig, CommandError> {
        EffectiveConfig::load(self.config.as_deref(), &self.flags)
    }
}
