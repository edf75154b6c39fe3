//! The token that a command shows to a server.

use std::{env, fmt, fs, path::PathBuf};

use clap::Args;

use super::Failure;

const VARIABLE: &str = "TALLYCAST_TOKEN";

/// Where the token is. A flag wins over the variable, also if it names a file.
#[derive(Args)]
pub(super) struct BearerArgs {
    /// The token (see `tallycast token`) [env: `TALLYCAST_TOKEN`]
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl BearerArgs {
    pub(super) fn read(&self) -> Result<String, Failure> {
        let text = if let Some(token) = &self.token {
            token.clone()
        } else if let Some(file) = &self.token_file {
            let read = fs::read_to_string(file);
            read.map_err(|why| Failure::usage(format_args!("{}: {why}", file.display())))?
        } else {
            env::var(VARIABLE).map_err(|_| {
                Failure::usage(format_args!(
                    "no token: say --token or --token-file, or set {VARIABLE} (see tallycast token)"
                ))
            })?
        };
        Ok(text.trim().to_owned())
    }
}

impl fmt::Debug for BearerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerArgs")
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}
