use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use figment::Figment;
use serde::Serialize;
use serde_json::Value;

use super::{
    layer::{ConfigLayer, SECRET_KEY, invalid_value},
    values::Config,
};
use crate::cli::{command_error::CommandError, redact::redact};

/// What is printed instead of the secret.
const SECRET_SHOWN: &str = "\"(not shown)\"";

/// The key whose value is a URL, which hides its password by itself.
const LEDGER_KEY: &str = "ledger";

/// The effective settings, and the source of each.
pub(in crate::cli) struct EffectiveConfig {
    pub(in crate::cli) config: Config,
    figment: Figment,
    /// The configuration file, if it contains a secret itself.
    file_with_secret: Option<PathBuf>,
}

impl EffectiveConfig {
    /// Merges the layers. `flags` serialises to the flags that were given.
    pub(in crate::cli) fn load(
        file: Option<&Path>,
        flags: &impl Serialize,
    ) -> Result<Self, CommandError> {
        let known = known_keys();
        let mut figment = Figment::from(ConfigLayer::of("default", &Config::default())?);
        let mut file_with_secret = None;
        if let Some(file) = file {
            let layer = ConfigLayer::file(file)?.checked(&known)?;
            file_with_secret = layer.contains(SECRET_KEY).then(|| file.to_owned());
            figment = figment.merge(layer);
        }
        figment = figment
            .merge(ConfigLayer::environment(std::env::vars_os())?.checked(&known)?)
            .merge(ConfigLayer::of("flag", flags)?.checked(&known)?);
        // Lossy: a variable is text, whatever the key's type.
        let config = figment
            .extract_lossy()
            .map_err(|error| invalid_value(&error))?;
        Ok(Self {
            config,
            figment,
            file_with_secret,
        })
    }

    /// The files with secrets.
    pub(in crate::cli) fn secret_files(&self) -> impl Iterator<Item = &Path> {
        let config = &self.config;
        let files = [
            &self.file_with_secret,
            &config.jwt_secret_file,
            &config.jwt_previous_secret_file,
            &config.tls_key_file,
        ];
        files.into_iter().filter_map(Option::as_deref)
    }

    /// Each setting that has a value: its key, its value as TOML, and its source.
    pub(in crate::cli) fn lines(&self) -> Vec<(String, String, String)> {
        let keys = serde_json::to_value(&self.config).unwrap_or_default();
        let keys = keys.as_object().into_iter().flatten();
        let set = keys.filter(|(_, value)| !value.is_null());
        set.map(|(key, value)| {
            // Strings, numbers and lists of strings are written the same in JSON and TOML.
            let shown = match key.as_str() {
                SECRET_KEY => SECRET_SHOWN.to_owned(),
                LEDGER_KEY => Value::from(self.config.ledger.to_string()).to_string(),
                _ => redact(&value.to_string()).into_owned(),
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

fn known_keys() -> BTreeSet<String> {
    let defaults = ConfigLayer::of("default", &Config::default());
    defaults.map(ConfigLayer::into_keys).unwrap_or_default()
}
