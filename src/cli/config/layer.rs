use std::{collections::BTreeSet, ffi::OsString, fmt, fs, path::Path};

use figment::{
    Metadata, Profile, Provider,
    providers::{Format, Serialized, Toml},
    value::{Dict, Map, Value},
};
use serde::Serialize;

use super::service_variable::is_service_variable;
use crate::cli::command_error::CommandError;

const PREFIX: &str = "TALLYCAST_";

/// Variables with our prefix that are not settings, but belong to other flags.
const OTHER_VARIABLES: &[&str] = &["config", "token", "url"];

/// The key whose value is never printed.
pub(super) const SECRET_KEY: &str = "jwt_secret";

/// The key whose value is a list, comma-separated in a variable.
const LIST_KEY: &str = "allowed_origins";

/// The settings of one source, and the name of that source.
pub(super) struct ConfigLayer {
    origin: String,
    values: Dict,
}

impl ConfigLayer {
    pub(super) fn of(origin: &str, values: &impl Serialize) -> Result<Self, CommandError> {
        let values = Serialized::defaults(values)
            .data()
            .map_err(|error| invalid_value(&error))?;
        Ok(Self {
            origin: origin.to_owned(),
            values: default_profile(values),
        })
    }

    pub(super) fn file(path: &Path) -> Result<Self, CommandError> {
        let origin = path.display().to_string();
        let usage = |why: &dyn fmt::Display| CommandError::usage(format_args!("{origin}: {why}"));
        let text = fs::read_to_string(path).map_err(|error| usage(&error))?;
        let values = Toml::from_str(&text).map_err(|error| {
            // Not the error as it prints: it would quote the line, which may hold a secret.
            let before = error.span().map_or("", |span| &text[..span.start]);
            let line = before.matches('\n').count() + 1;
            usage(&format_args!("line {line}: {}", error.message()))
        })?;
        Ok(Self { values, origin })
    }

    pub(super) fn environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, CommandError> {
        let mut values = Dict::new();
        for (name, value) in variables {
            let Some(key) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
                continue;
            };
            let key = key.to_lowercase();
            if OTHER_VARIABLES.contains(&key.as_str()) {
                continue;
            }
            let Some(value) = value.to_str() else {
                return Err(CommandError::usage(format_args!(
                    "{}: not UTF-8",
                    name.display()
                )));
            };
            if is_service_variable(&key, value) {
                continue;
            }
            values.insert(key.clone(), variable(&key, value));
        }
        Ok(Self {
            origin: "environment".to_owned(),
            values,
        })
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn into_keys(self) -> BTreeSet<String> {
        self.values.into_keys().collect()
    }

    /// Rejects unknown keys: a misspelt one would otherwise silently leave its default in place. Rejects empty
    /// values: most come from a variable that was never set, and ignoring one could turn TLS or a check off.
    pub(super) fn checked(self, known: &BTreeSet<String>) -> Result<Self, CommandError> {
        let Some(key) = self.values.keys().find(|key| !known.contains(*key)) else {
            return self.without_empty_values();
        };
        let known = known
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let Self { origin, .. } = &self;
        Err(CommandError::usage(format_args!(
            "{origin}: unknown key {key:?}; the keys are {known}"
        )))
    }

    fn without_empty_values(self) -> Result<Self, CommandError> {
        let Some((key, _)) = self.values.iter().find(|(_, value)| is_empty(value)) else {
            return Ok(self);
        };
        Err(CommandError::usage(format_args!(
            "{}: {key} is empty: give it a value, or leave it out",
            self.origin
        )))
    }
}

impl Provider for ConfigLayer {
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
    let items = value.split(',').map(str::trim);
    Value::from(items.map(Value::from).collect::<Vec<_>>())
}

/// Whether a text is empty, or one of a list. A list without items is a value: it is the default of one.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(_, text) => text.trim().is_empty(),
        Value::Array(_, items) => items.iter().any(is_empty),
        _ => false,
    }
}

/// The error for a value of the wrong type: its source, its key, and what is wrong. That shows the value, except
/// the secret's.
pub(super) fn invalid_value(error: &figment::Error) -> CommandError {
    let origin = error
        .metadata
        .as_ref()
        .map_or("configuration", |from| &from.name);
    let key = error.path.join(".");
    if key == SECRET_KEY {
        let cure = "write it as a text in quotes";
        return CommandError::usage(format_args!("{origin}: {key}: {cure}"));
    }
    CommandError::usage(format_args!("{origin}: {key}: {}", error.kind))
}
