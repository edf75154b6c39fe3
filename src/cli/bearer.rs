//! The token that a command sends to a server.

use std::{env, fmt, fs, path::PathBuf};

use clap::Args;

use super::command_error::CommandError;

const VARIABLE: &str = "TALLYCAST_TOKEN";

/// Where to read the token. Either flag wins over the variable.
#[derive(Args)]
pub(super) struct BearerArgs {
    /// The token (see `tallycast token`) [env: `TALLYCAST_TOKEN`]
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// File with the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl BearerArgs {
    pub(super) fn read(&self) -> Result<String, CommandError> {
        let (text, origin) = if let Some(token) = &self.token {
            (token.clone(), "--token".to_owned())
        } else if let Some(file) = &self.token_file {
            let origin = file.display().to_string();
            let read = fs::read_to_string(file);
            let text = read.map_err(|why| CommandError::usage(format_args!("{origin}: {why}")))?;
            (text, origin)
        } else {
            let text = env::var(VARIABLE).map_err(|_| {
                CommandError::usage(format_args!(
                    "no token: pass --token or --token-file, or set {VARIABLE} (see tallycast token)"
                ))
            })?;
            (text, VARIABLE.to_owned())
        };
        match text.trim() {
            "" => Err(CommandError::usage(format_args!(
                "{origin} is empty: a token is expected there (see tallycast token)"
            ))),
            token => Ok(token.to_owned()),
        }
    }
}

impl fmt::Debug for BearerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerArgs")
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}
