//! `tallycast token`: a signed token for an app, a producer or an administrator.

use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use serde::Serialize;
use tallycast::{Account, Accounts, Grant, Scopes};

use super::{Failure, config::Effective, say, settings};

/// Prints a token, signed with the secret that the server checks tokens with.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    key: KeyArgs,
    /// Configuration file (TOML) that may name the secret file
    #[arg(long, env = "TALLYCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose token it is: a customer, or a service
    #[arg(long)]
    sub: String,
    /// How long it is valid: 90s, 15m, 1h, 7d
    #[arg(long, value_parser = parse_ttl, default_value = "1h")]
    ttl: SignedDuration,
    /// Any of watch, record, push, admin, with spaces between
    #[arg(long, default_value = "watch")]
    scope: String,
    /// Accounts with commas between, or '*' for all [default: the one named as `sub`]
    #[arg(long)]
    accounts: Option<String>,
}

/// The key that signs, as a flag; variables and the configuration file may name it too.
#[derive(Debug, Args, Serialize)]
pub(super) struct KeyArgs {
    /// File with the shared secret
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwt_secret_file: Option<PathBuf>,
}

pub(super) fn run(args: TokenArgs) -> Result<(), Failure> {
    let effective = Effective::load(args.config.as_deref(), &args.key)?;
    let signer = settings::signer(&effective.config)?;
    let scopes = Scopes::parse(&args.scope).map_err(Failure::usage)?;
    let accounts = accounts(args.accounts.as_deref(), &args.sub)?;
    let end = Timestamp::now()
        .checked_add(args.ttl)
        .map_err(|error| Failure::usage(format_args!("ttl: {error}")))?;
    let grant = Grant::new(args.sub, scopes, accounts).expiring_at(end);
    let token = signer.sign(&grant).map_err(Failure::usage)?;
    say(token);
    Ok(())
}

fn accounts(given: Option<&str>, sub: &str) -> Result<Accounts, Failure> {
    match given {
        Some("*") => Ok(Accounts::all()),
        Some(list) => {
            let accounts: Result<Vec<_>, _> = list.split(',').map(Account::parse).collect();
            accounts.map(Accounts::list).map_err(Failure::usage)
        }
        None => Account::parse(sub).map(Accounts::only).map_err(|error| {
            Failure::usage(format_args!(
                "sub is no account ({error}): say which with --accounts"
            ))
        }),
    }
}

fn parse_ttl(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "say 90s, 15m, 1h or 7d".to_owned())?;
    let ttl = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "say it in days, hours, minutes or seconds".to_owned())?;
    if !ttl.is_positive() {
        return Err("a token needs some time".to_owned());
    }
    Ok(ttl)
}
