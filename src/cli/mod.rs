//! The command line: a file or folder per command. Each error is one line.

mod answer;
mod backoff;
mod bearer;
mod bench;
mod check_config;
mod command_error;
mod config;
mod demo;
mod descriptors;
mod export;
mod log;
mod metrics;
mod output;
mod page;
mod redact;
mod remote_feed;
mod replay;
mod secret_file;
mod serve;
mod settings;
mod signals;
mod signing_key;
mod table;
mod token;
mod watch;

use std::process::ExitCode;

use clap::{
    Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use command_error::CommandError;
use output::print_error;

/// Pushes each customer's live consumption to their app, from a durable ledger.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Replay(Box<replay::ReplayArgs>),
    Token(token::TokenArgs),
    Watch(watch::WatchArgs),
    Export(export::ExportArgs),
    Bench(bench::BenchArgs),
    CheckConfig(check_config::CheckConfigArgs),
}

/// Runs the command that the arguments name. Prints an error on stderr if it fails.
pub(crate) async fn run() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => execute(cli.command).await,
        Err(error) => clap_error(&error),
    };
    let (why, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(CommandError::Usage(why)) => (why, 2),
        Err(CommandError::Failed(why)) => (why, 1),
    };
    print_error(&why);
    ExitCode::from(code)
}

async fn execute(command: CliCommand) -> Result<(), CommandError> {
    match command {
        CliCommand::Serve(args) => serve::run(args).await,
        CliCommand::Demo(args) => demo::run(args).await,
        CliCommand::Replay(args) => replay::run(*args).await,
        CliCommand::Token(args) => token::run(args),
        CliCommand::Watch(args) => watch::run(args).await,
        CliCommand::Export(args) => export::run(args).await,
        CliCommand::Bench(args) => bench::run(args).await,
        CliCommand::CheckConfig(args) => check_config::run(args),
    }
}

/// Prints clap's help or version as it is, and reduces an error to its first paragraph, on one line.
fn clap_error(error: &clap::Error) -> Result<(), CommandError> {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return if error.use_stderr() {
            Err(CommandError::Usage(String::new()))
        } else {
            Ok(())
        };
    }
    if let Some(flag) = empty_flag(error) {
        return Err(CommandError::usage(format_args!(
            "{flag} is empty: give it a value, or leave it out"
        )));
    }
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    Err(CommandError::usage(line.trim_start_matches("error: ")))
}

/// The flag whose value is refused because it is empty, also where a variable gave it.
fn empty_flag(error: &clap::Error) -> Option<&str> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let is_empty = text(ContextKind::InvalidValue)?.is_empty();
    // It is followed by the name of its value: `--config <FILE>`.
    let flag = text(ContextKind::InvalidArg)?.split(' ').next()?;
    is_empty.then_some(flag)
}
