//! The token that a command sends to a server.

use std::{
    env, fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;

use super::command_error::CommandError;

const VARIABLE: &str = "TALLYCAST_TOKEN";

/// The longest file that is read: the server takes no token above 8 KiB, and a device may have no end.
const FILE_BYTES_MAX: u64 = 64 * 1024;

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
            let read = read_file(file);
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

fn read_file(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(file)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    match u64::try_from(read) {
        Ok(..=FILE_BYTES_MAX) => Ok(text),
        _ => Err(io::Error::other("too long for a token")),
    }
}

impl fmt::Debug for BearerArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerArgs")
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}
