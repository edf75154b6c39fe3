//! The command line: one file a command, one line for each thing that goes wrong.

mod backoff;
mod bearer;
mod bench;
mod check_config;
mod config;
mod demo;
mod descriptors;
mod export;
mod log;
mod page;
mod remote;
mod replay;
mod serve;
mod settings;
mod signals;
mod token;
mod watch;

use std::{fmt, io::Write, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};

/// Pushes each customer's live consumption to their app, from a durable ledger.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::ServeArgs),
    Demo(demo::DemoArgs),
    Replay(Box<replay::ReplayArgs>),
    Token(token::TokenArgs),
    Watch(watch::WatchArgs),
    Export(export::ExportArgs),
    Bench(bench::BenchArgs),
    CheckConfig(check_config::CheckConfigArgs),
}

/// Why a command did not do its work, as the one line that its caller reads.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was asked for wrongly: nothing was tried. Exit code 2.
    Usage(String),
    /// It was tried and went wrong. Exit code 1.
    Failed(String),
}

impl Failure {
    fn usage(why: impl fmt::Display) -> Self {
        Self::Usage(why.to_string())
    }

    fn failed(why: impl fmt::Display) -> Self {
        Self::Failed(why.to_string())
    }
}

/// Runs the command that the arguments ask for, and says on stderr why if it cannot.
pub(crate) async fn run() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => execute(cli.command).await,
        Err(error) => refuse(&error),
    };
    let (why, code) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(why)) => (why, 2),
        Err(Failure::Failed(why)) => (why, 1),
    };
    complain(&why);
    ExitCode::from(code)
}

async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Replay(args) => replay::run(*args).await,
        Command::Token(args) => token::run(args),
        Command::Watch(args) => watch::run(args).await,
        Command::Export(args) => export::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::CheckConfig(args) => check_config::run(args),
    }
}

/// What clap has to say: help and version as they are, an error as its one telling line.
fn refuse(error: &clap::Error) -> Result<(), Failure> {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return if error.use_stderr() {
            Err(Failure::Usage(String::new()))
        } else {
            Ok(())
        };
    }
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty());
    let line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    Err(Failure::usage(line.trim_start_matches("error: ")))
}

/// One line on stderr, whatever is in it.
fn complain(why: &str) {
    if why.is_empty() {
        return;
    }
    let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(std::io::stderr(), "tallycast: {line}");
}

/// One line on stdout; false: nobody reads it any more.
fn say(line: impl fmt::Display) -> bool {
    writeln!(std::io::stdout(), "{line}").is_ok()
}
