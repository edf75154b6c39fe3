use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

/// The key that signs tokens, as a flag. A variable or the configuration file can name it as well.
#[derive(Debug, Args, Serialize)]
pub(super) struct SigningKeyArgs {
    /// File with the shared secret
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwt_secret_file: Option<PathBuf>,
}
