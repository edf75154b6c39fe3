//! `tallycast check-config`: checks the configuration of `serve` without starting the server.

use clap::Args;
use jiff::Timestamp;

use super::{
    command_error::CommandError,
    config::ConfigArgs,
    output::{print_error, print_line},
    settings,
};

/// Prints the effective settings and the source of each.
///
/// The output is a valid configuration file. Secrets are not shown. Key and certificate files and the page's
/// folder are checked too, so that errors in them are reported now, and what `serve` would warn of.
#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: CheckConfigArgs) -> Result<(), CommandError> {
    let effective = args.config.load()?;
    for (key, value, origin) in effective.lines() {
        print_line(format_args!(
            "{:<60} # {origin}",
            format!("{key} = {value}")
        ));
    }
    let config = &effective.config;
    settings::ledger(config)?;
    settings::jwt(config)?;
    settings::origins(config)?;
    settings::page(config)?;
    settings::trusted_proxies(config)?;
    let tls = settings::tls(config)?;
    let certificate = tls.and_then(|tls| tls.warning_at(Timestamp::now()));
    for warning in settings::warnings(&effective)
        .into_iter()
        .chain(certificate)
    {
        print_error(&format!("warning: {warning}"));
    }
    Ok(())
}
