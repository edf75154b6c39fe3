//! `tallycast token`: a signed token for an app, a producer or an administrator.

use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use tallycast::{
    Account, Grant,
    access::{Accounts, Scopes},
};

use super::{
    command_error::CommandError, config::EffectiveConfig, output::print_line, settings,
    signing_key::SigningKeyArgs,
};

/// Prints a token, signed with the server's secret.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    key: SigningKeyArgs,
    /// Configuration file (TOML) that may name the secret file
    #[arg(long, env = "TALLYCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Subject of the token: a customer or a service
    #[arg(long)]
    sub: String,
    /// Lifetime: 90s, 15m, 1h, 7d
    #[arg(long, value_parser = parse_ttl, default_value = "1h")]
    ttl: SignedDuration,
    /// Space-separated scopes: watch, record, push, admin
    #[arg(long, default_value = "watch")]
    scope: String,
    /// Comma-separated accounts, or '*' for all [default: the account named in --sub]
    #[arg(long)]
    accounts: Option<String>,
}

pub(super) fn run(args: TokenArgs) -> Result<(), CommandError> {
    let effective = EffectiveConfig::load(args.config.as_deref(), &args.key)?;
    let signer = settings::signer(&effective.config)?;
    let scopes = Scopes::parse(&args.scope).map_err(CommandError::usage)?;
    let accounts = accounts(args.accounts.as_deref(), &args.sub)?;
    let now = Timestamp::now();
    let end = now
        .checked_add(args.ttl)
        .map_err(|error| CommandError::usage(format_args!("--ttl: {error}")))?;
    // So that the token can be revoked, and is not taken for one from before a revocation of its subject.
    let grant = Grant::new(args.sub, scopes, accounts)
        .expiring_at(end)
        .with_issued_at(now)
        .with_token_id(random_id()?);
    let token = signer.sign(&grant).map_err(CommandError::usage)?;
    print_line(token);
    Ok(())
}

/// 16 random bytes in hexadecimal digits.
fn random_id() -> Result<String, CommandError> {
    let random = || getrandom::u64().map_err(CommandError::failed);
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}

fn accounts(given: Option<&str>, sub: &str) -> Result<Accounts, CommandError> {
    match given {
        Some("*") => Ok(Accounts::all()),
        Some(list) => {
            let accounts: Result<Vec<_>, _> = list.split(',').map(Account::parse).collect();
            accounts.map(Accounts::list).map_err(CommandError::usage)
        }
        None => Account::parse(sub).map(Accounts::only).map_err(|error| {
            CommandError::usage(format_args!(
                "--sub is not an account ({error}): pass --accounts"
            ))
        }),
    }
}

fn parse_ttl(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| "write 90s, 15m, 1h or 7d".to_owned())?;
    let ttl = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "use days, hours, minutes or seconds".to_owned())?;
    if !ttl.is_positive() {
        return Err("the lifetime must be longer than zero".to_owned());
    }
    Ok(ttl)
}
