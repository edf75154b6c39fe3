//! Turns the configuration into the objects that a server needs: reads keys, loads certificates, parses values.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tallycast::{
    Jwt, Limits, Origins, Quotas,
    access::Signer,
    serve::{Tls, TrustedProxies},
};

use super::{
    command_error::CommandError,
    config::{Config, EffectiveConfig},
    descriptors,
    page::WebPage,
    secret_file,
};

/// Key files are read whole; a longer file is not a key.
const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Added to the drain time for HTTP, so that streams that the hub closes last are not cut off.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);

/// File descriptors reserved for the admin listener (32), Flash policies (16), refused connections (16 a listener), the
/// ledger and the runtime.
const DESCRIPTORS_RESERVED: usize = 112;

/// Where entries are stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LedgerChoice {
    /// In memory: lost when the process ends.
    Memory,
    /// In an SQLite file.
    Sqlite(PathBuf),
}

pub(super) fn ledger(config: &Config) -> Result<LedgerChoice, CommandError> {
    let ledger = config.ledger.expose();
    if ledger == "memory" {
        return Ok(LedgerChoice::Memory);
    }
    match ledger.strip_prefix("sqlite:") {
        // `sqlite:postgres://…` is a mistake, and no file.
        Some(file) if !file.is_empty() && !file.contains("://") => {
            Ok(LedgerChoice::Sqlite(file.into()))
        }
        _ => Err(CommandError::usage(format_args!(
            "ledger {:?}: write sqlite:FILE, or memory for trials",
            config.ledger
        ))),
    }
}

/// Reads the key that verifies tokens.
pub(super) fn jwt(config: &Config) -> Result<Jwt, CommandError> {
    check_one_key(config)?;
    let mut jwt = if let Some(file) = &config.jwt_public_key_file {
        named(file, Jwt::from_public_pem(read_key(file)?))?
    } else if let Some(file) = &config.jwt_jwks_file {
        named(file, Jwt::from_jwks(&read_key(file)?))?
    } else {
        let secret = secret(config)?;
        secret.named(Jwt::hs256(&secret.bytes))?
    };
    if let Some(file) = &config.jwt_previous_secret_file {
        jwt = named(file, jwt.with_previous(read_secret(file)?))?;
    }
    if let Some(audience) = &config.jwt_audience {
        jwt = jwt.with_audience(audience);
    }
    if let Some(issuer) = &config.jwt_issuer {
        jwt = jwt.with_issuer(issuer);
    }
    Ok(jwt)
}

/// Reads the shared secret that signs tokens.
pub(super) fn signer(config: &Config) -> Result<Signer, CommandError> {
    check_one_key(config)?;
    let secret = secret(config)?;
    let mut signer = secret.named(Signer::hs256(&secret.bytes))?;
    if let Some(audience) = &config.jwt_audience {
        signer = signer.with_audience(audience);
    }
    if let Some(issuer) = &config.jwt_issuer {
        signer = signer.with_issuer(issuer);
    }
    Ok(signer)
}

/// The secret that signs tickets: the tokens' secret, so that tickets stay valid across a restart, and between
/// servers with the same secret. `None` with a public key: each server then generates its own.
pub(super) fn ticket_secret(config: &Config) -> Result<Option<Vec<u8>>, CommandError> {
    if config.jwt_secret.is_none() && config.jwt_secret_file.is_none() {
        return Ok(None);
    }
    secret(config).map(|secret| Some(secret.bytes))
}

pub(super) fn origins(config: &Config) -> Result<Origins, CommandError> {
    Origins::allow(&config.allowed_origins).map_err(CommandError::usage)
}

pub(super) fn page(config: &Config) -> Result<Option<WebPage>, CommandError> {
    config.page.as_deref().map(WebPage::folder).transpose()
}

pub(super) fn tls(config: &Config) -> Result<Option<Tls>, CommandError> {
    match (&config.tls_certificate_file, &config.tls_key_file) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Tls::from_pem_files(certificate, key)
            .map(Some)
            .map_err(CommandError::usage),
        _ => Err(CommandError::usage(
            "set both tls_certificate_file and tls_key_file, or neither",
        )),
    }
}

/// What an operator has to know about files with secrets that are in order otherwise, a line each.
pub(super) fn warnings(effective: &EffectiveConfig) -> Vec<String> {
    let secrets = effective.secret_files();
    secrets.filter_map(secret_file::warning).collect()
}

pub(super) fn limits(config: &Config) -> Limits {
    let descriptors = descriptors::raise()
        .saturating_sub(DESCRIPTORS_RESERVED)
        .max(1);
    Limits {
        connections_max: config.connections_max.min(descriptors),
        connections_per_peer_max: config.connections_per_peer_max,
        drain_timeout: drain(config) + DRAIN_MARGIN,
        ..Limits::default()
    }
}

pub(super) fn quotas(config: &Config) -> Quotas {
    Quotas {
        sessions_per_address_max: config.sessions_per_address_max,
        session_rate_per_address: config.session_rate_per_address,
        session_rate_per_connection: config.session_rate_per_connection,
        request_rate_per_address: config.request_rate_per_address,
        request_rate_per_subject: config.request_rate_per_subject,
        event_rate_per_subject: config.event_rate_per_subject,
        event_rate_per_account: config.event_rate_per_account,
        subscriptions_per_address_max: config.subscriptions_per_address_max,
        subscriptions_per_subject_max: config.subscriptions_per_subject_max,
        subscriptions_per_account_max: config.subscriptions_per_account_max,
        body_bytes_max: config.body_bytes_max,
        body_bytes_per_client_max: config.body_bytes_per_client_max,
    }
}

pub(super) fn trusted_proxies(config: &Config) -> Result<TrustedProxies, CommandError> {
    let proxies = config.trusted_proxies.join(",").parse();
    proxies.map_err(|why| CommandError::usage(format_args!("trusted_proxies: {why}")))
}

pub(super) fn drain(config: &Config) -> Duration {
    Duration::from_secs(config.drain_seconds)
}

fn check_one_key(config: &Config) -> Result<(), CommandError> {
    let keys = [
        ("jwt_secret", config.jwt_secret.is_some()),
        ("jwt_secret_file", config.jwt_secret_file.is_some()),
        ("jwt_public_key_file", config.jwt_public_key_file.is_some()),
        ("jwt_jwks_file", config.jwt_jwks_file.is_some()),
    ];
    let set: Vec<_> = keys
        .into_iter()
        .filter_map(|(key, is_set)| is_set.then_some(key))
        .collect();
    match set.as_slice() {
        [_] => Ok(()),
        [] => Err(CommandError::usage(
            "no key for tokens: pass --jwt-secret-file FILE with a secret of 32 bytes or more \
             (umask 077; openssl rand -hex 32 > FILE), or set jwt_public_key_file or jwt_jwks_file",
        )),
        several => Err(CommandError::usage(format_args!(
            "{} are set: keep only one",
            several.join(" and ")
        ))),
    }
}

/// A shared secret, and the name that errors give it.
struct SharedSecret {
    bytes: Vec<u8>,
    origin: PathBuf,
}

impl SharedSecret {
    fn named<T>(&self, result: Result<T, tallycast::access::KeyError>) -> Result<T, CommandError> {
        named(&self.origin, result)
    }
}

fn secret(config: &Config) -> Result<SharedSecret, CommandError> {
    if let Some(secret) = &config.jwt_secret {
        let bytes = secret.expose().as_bytes().to_owned();
        return Ok(SharedSecret {
            bytes,
            origin: "jwt_secret".into(),
        });
    }
    let Some(file) = &config.jwt_secret_file else {
        return Err(CommandError::usage(
            "no secret: pass --jwt-secret-file FILE (with a public key, sign tokens where the private \
             key is)",
        ));
    };
    Ok(SharedSecret {
        bytes: read_secret(file)?,
        origin: file.clone(),
    })
}

/// The file's bytes without the final newline that editors and `echo` add.
fn read_secret(file: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = read(file)?;
    while bytes
        .last()
        .is_some_and(|last| matches!(last, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    Ok(bytes)
}

fn read_key(file: &Path) -> Result<String, CommandError> {
    named(
        file,
        String::from_utf8(read(file)?).map_err(|_| "not UTF-8 text"),
    )
}

fn read(file: &Path) -> Result<Vec<u8>, CommandError> {
    let metadata = named(file, fs::metadata(file))?;
    if metadata.is_file() && metadata.len() > KEY_FILE_BYTES_MAX {
        return named(file, Err("too long for a key"));
    }
    named(file, fs::read(file))
}

/// Puts the file's name in front of an error.
fn named<T>(file: &Path, result: Result<T, impl std::fmt::Display>) -> Result<T, CommandError> {
    result.map_err(|why| CommandError::usage(format_args!("{}: {why}", file.display())))
}
