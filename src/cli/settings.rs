//! What the configuration means: keys read, certificates loaded, spellings understood.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tallycast::{Jwt, Limits, Origins, Signer, Tls};

use super::{Failure, config::Config, descriptors, page::Page};

/// A file of a secret or key is read whole; none is near this long (bytes).
const KEY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Added to the drain's time for HTTP: streams that the hub ends late must not be cut before.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);

/// File descriptors kept for the ledger, the listeners and the runtime, beside connections.
const DESCRIPTORS_RESERVED: usize = 64;

/// Where entries are kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LedgerChoice {
    /// In memory: gone with the process.
    Memory,
    /// In an SQLite file.
    Sqlite(PathBuf),
}

pub(super) fn ledger(config: &Config) -> Result<LedgerChoice, Failure> {
    if config.ledger == "memory" {
        return Ok(LedgerChoice::Memory);
    }
    match config.ledger.strip_prefix("sqlite:") {
        Some(file) if !file.is_empty() => Ok(LedgerChoice::Sqlite(file.into())),
        _ => Err(Failure::usage(format_args!(
            "ledger {:?}: say sqlite:FILE, or memory to try things out",
            config.ledger
        ))),
    }
}

/// Reads the one key that tokens are checked with.
pub(super) fn jwt(config: &Config) -> Result<Jwt, Failure> {
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

/// What makes tokens: only a shared secret can.
pub(super) fn signer(config: &Config) -> Result<Signer, Failure> {
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

/// What tickets are signed with: the tokens' secret, so that a restarted server and its neighbours take
/// the same ones. With a public key there is none, and each server takes its own.
pub(super) fn ticket_secret(config: &Config) -> Result<Option<Vec<u8>>, Failure> {
    if config.jwt_secret.is_none() && config.jwt_secret_file.is_none() {
        return Ok(None);
    }
    secret(config).map(|found| Some(found.bytes))
}

pub(super) fn origins(config: &Config) -> Result<Origins, Failure> {
    Origins::allow(&config.allowed_origins).map_err(Failure::usage)
}

pub(super) fn page(config: &Config) -> Result<Option<Page>, Failure> {
    config.page.as_deref().map(Page::folder).transpose()
}

pub(super) fn tls(config: &Config) -> Result<Option<Tls>, Failure> {
    match (&config.tls_certificate_file, &config.tls_key_file) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Tls::from_pem_files(certificate, key)
            .map(Some)
            .map_err(Failure::usage),
        _ => Err(Failure::usage(
            "tls_certificate_file and tls_key_file go together: set both",
        )),
    }
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

pub(super) fn drain(config: &Config) -> Duration {
    Duration::from_secs(config.drain_seconds)
}

fn check_one_key(config: &Config) -> Result<(), Failure> {
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
        [] => Err(Failure::usage(
            "no key for tokens: say --jwt-secret-file FILE with a secret of 32 bytes or more \
             (openssl rand -hex 32 > FILE), or set jwt_public_key_file or jwt_jwks_file",
        )),
        several => Err(Failure::usage(format_args!(
            "{} are all set: leave one",
            several.join(" and ")
        ))),
    }
}

/// A shared secret and where it is from.
struct Found {
    bytes: Vec<u8>,
    origin: PathBuf,
}

impl Found {
    fn named<T>(&self, made: Result<T, tallycast::KeyError>) -> Result<T, Failure> {
        named(&self.origin, made)
    }
}

fn secret(config: &Config) -> Result<Found, Failure> {
    if let Some(secret) = &config.jwt_secret {
        let bytes = secret.expose().as_bytes().to_owned();
        return Ok(Found {
            bytes,
            origin: "jwt_secret".into(),
        });
    }
    let Some(file) = &config.jwt_secret_file else {
        return Err(Failure::usage(
            "no secret: say --jwt-secret-file FILE (tokens for a public key are made by who has \
             the private one)",
        ));
    };
    Ok(Found {
        bytes: read_secret(file)?,
        origin: file.clone(),
    })
}

/// A secret is the file's bytes without the newline that editors and `echo` put at the end.
fn read_secret(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = read(file)?;
    while bytes
        .last()
        .is_some_and(|last| matches!(last, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    Ok(bytes)
}

fn read_key(file: &Path) -> Result<String, Failure> {
    named(file, String::from_utf8(read(file)?).map_err(|_| "not text"))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let about = named(file, fs::metadata(file))?;
    if about.is_file() && about.len() > KEY_FILE_BYTES_MAX {
        return named(file, Err("too long for a key"));
    }
    named(file, fs::read(file))
}

fn named<T>(file: &Path, result: Result<T, impl std::fmt::Display>) -> Result<T, Failure> {
    result.map_err(|why| Failure::usage(format_args!("{}: {why}", file.display())))
}
