//! The configuration: a flag wins over a variable, a variable over the file, the file over the default.

mod args;
mod effective;
mod layer;
mod service_variable;
mod values;

pub(super) use args::ConfigArgs;
pub(super) use effective::EffectiveConfig;
pub(super) use values::{Config, LogFormat};
