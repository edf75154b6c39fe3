//! Configuration: flag over environment over file over default, and where each value is from.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Map, Value},
};
use serde::{Deserialize, Serialize};

use super::Failure;
use tallycast::Limits;

const PREFIX: &str = "TALLYCAST_";

/// Variables with our prefix that are not configuration: other flags', and those
/// that Kubernetes sets in every container of a namespace that has a service named `tallycast`.
const OTHER_VARIABLES: &[&str] = &["config", "token", "url", "port", "service_host"];
const OTHER_PREFIXES: &[&str] = &["port_", "service_port"];

/// The one key that is a list: in a variable, commas stand between.
const LIST_KEY: &str = "allowed_origins";

/// The one key whose value nobody may read, and what is shown instead.
const SECRET_KEY: &str = "jwt_secret";
const SECRET_SHOWN: &str = "\"(not shown)\"";

/// How long a shutdown may take, in seconds: below the 30 after which Kubernetes kills.
const DRAIN_SECONDS: u64 = 10;

/// Everything that can be configured, under the names that files and variables use.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) listen: String,
    pub(super) admin_listen: String,
    pub(super) flash_policy_listen: Option<String>,
    pub(super) ledger: String,
    pub(super) jwt_secret: Option<Secret>,
    pub(super) jwt_secret_file: Option<PathBuf>,
    pub(super) jwt_previous_secret_file: Option<PathBuf>,
    pub(super) jwt_public_key_file: Option<PathBuf>,
    pub(super) jwt_jwks_file: Option<PathBuf>,
    pub(super) jwt_audience: Option<String>,
    pub(super) jwt_issuer: Option<String>,
    pub(super) allowed_origins: Vec<String>,
    pub(super) page: Option<PathBuf>,
    pub(super) tls_certificate_file: Option<PathBuf>,
    pub(super) tls_key_file: Option<PathBuf>,
    pub(super) connections_max: usize,
    pub(super) connections_per_peer_max: usize,
    pub(super) drain_seconds: u64,
    pub(super) log: LogFormat,
    pub(super) log_level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// One JSON object a line, for machines
    Json,
    /// For people
    Pretty,
}

/// A value that is never shown: not in messages, not in `check-config`.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
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
        Self {
            listen: "127.0.0.1:3000".to_owned(),
            admin_listen: "127.0.0.1:9090".to_owned(),
            flash_policy_listen: None,
            ledger: "sqlite:consumption.db".to_owned(),
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
            connections_per_peer_max: Limits::CONNECTIONS_PER_PEER_MAX,
            drain_seconds: DRAIN_SECONDS,
            log: LogFormat::Pretty,
            log_level: "info".to_owned(),
        }
    }
}

/// The effective configuration and, key by key, where it is from.
pub(super) struct Effective {
    pub(super) config: Config,
    figment: Figment,
}

impl Effective {
    /// Puts the layers together. `flags` serialises to those flags that were given.
    pub(super) fn load(file: Option<&Path>, flags: &impl Serialize) -> Result<Self, Failure> {
        let known = known_keys();
        let mut figment = Figment::from(Layer::of("default", &Config::default())?);
        if let Some(file) = file {
            figment = figment.merge(Layer::file(file)?.checked(&known)?);
        }
        figment = figment
            .merge(Layer::environment(std::env::vars_os())?.checked(&known)?)
            .merge(Layer::of("flag", flags)?);
        // Lossy: variables are text, whatever the key wants.
        let config = figment.extract_lossy().map_err(|error| explain(&error))?;
        Ok(Self { config, figment })
    }

    /// Each key that is set: its name, its value as TOML, and its layer.
    pub(super) fn lines(&self) -> Vec<(String, String, String)> {
        let keys = serde_json::to_value(&self.config).unwrap_or_default();
        let keys = keys.as_object().into_iter().flatten();
        let set = keys.filter(|(_, value)| !value.is_null());
        set.map(|(key, value)| {
            // Strings, numbers and lists of strings look the same in JSON and in TOML.
            let shown = if key == SECRET_KEY {
                SECRET_SHOWN.to_owned()
            } else {
                value.to_string()
            };
            let origin = self
                .figment
                .find_metadata(key)
                .map(|from| from.name.to_string());
            (key.clone(), shown, origin.unwrap_or_default())
        })
        .collect()
    }
}

/// One layer: some keys and their values, and what to call the place they are from.
struct Layer {
    origin: String,
    values: Dict,
}

impl Layer {
    fn of(origin: &str, values: &impl Serialize) -> Result<Self, Failure> {
        let values = Serialized::defaults(values)
            .data()
            .map_err(|error| explain(&error))?;
        Ok(Self {
            origin: origin.to_owned(),
            values: default_profile(values),
        })
    }

    fn file(path: &Path) -> Result<Self, Failure> {
        let origin = path.display().to_string();
        let usage = |why: &dyn fmt::Display| Failure::usage(format_args!("{origin}: {why}"));
        let text = fs::read_to_string(path).map_err(|error| usage(&error))?;
        let values = Toml::string(&text).data().map_err(|error| usage(&error))?;
        Ok(Self {
            values: default_profile(values),
            origin,
        })
    }

    fn environment(
        variables: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, Failure> {
        let mut values = Dict::new();
        for (name, value) in variables {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let key = key.to_lowercase();
            let foreign = OTHER_VARIABLES.contains(&key.as_str())
                || OTHER_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
            if foreign {
                continue;
            }
            let Some(value) = value.to_str() else {
                return Err(Failure::usage(format_args!(
                    "{}: not UTF-8",
                    name.display()
                )));
            };
            values.insert(key.clone(), variable(&key, value));
        }
        Ok(Self {
            origin: "environment".to_owned(),
            values,
        })
    }

    /// Refuses a key that means nothing: a slip would otherwise be a default that nobody chose.
    fn checked(self, known: &BTreeSet<String>) -> Result<Self, Failure> {
        let Some(key) = self.values.keys().find(|key| !known.contains(*key)) else {
            return Ok(self);
        };
        let known = known
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let Self { origin, .. } = &self;
        Err(Failure::usage(format_args!(
            "{origin}: unknown key {key:?}; there are {known}"
        )))
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn default_profile(mut values: Map<Profile, Dict>) -> Dict {
    values.remove(&Profile::Default).unwrap_or_default()
}

fn variable(key: &str, value: &str) -> Value {
    if key != LIST_KEY {
        return Value::from(value);
    }
    let items = value
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    Value::from(items.map(Value::from).collect::<Vec<_>>())
}

fn known_keys() -> BTreeSet<String> {
    let defaults = Layer::of("default", &Config::default());
    defaults
        .map(|layer| layer.values.into_keys().collect())
        .unwrap_or_default()
}

/// A value of the wrong type, as one line: where it is from, which key, what is wrong.
fn explain(error: &figment::Error) -> Failure {
    let origin = error
        .metadata
        .as_ref()
        .map_or("configuration", |from| &from.name);
    Failure::usage(format_args!(
        "{origin}: {}: {}",
        error.path.join("."),
        error.kind
    ))
}
