//! `tallycast check-config`: what `serve` would do with this configuration, without doing it.

use clap::Args;

use super::{Failure, say, serve::ConfigArgs, settings};

/// Prints the effective configuration, and where each value is from.
///
/// The output is a configuration file. Secrets are not shown; key and certificate files are read, and the
/// page's folder is looked at, so that what is wrong with them is told now.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: CheckConfigArgs) -> Result<(), Failure> {
    let effective = args.config.load()?;
    for (key, value, origin) in effective.lines() {
        say(format_args!(
            "{:<60} # {origin}",
            format!("{key} = {value}")
        ));
    }
    let config = &effective.config;
    settings::ledger(config)?;
    settings::jwt(config)?;
    settings::origins(config)?;
    settings::page(config)?;
    settings::tls(config)?;
    Ok(())
}
