//! Commands: one file each.

pub mod bundle;
pub mod clips;
pub mod flags;
pub mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Real-time, energy-aware video analytics with early exits.
#[derive(Debug, Parser)]
#[command(name = "e4", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the network on a clip, a folder of clips or generated scenes.
    Run(flags::RunArgs),
    /// Write labelled clips of generated scenes.
    Clips(clips::Clips),
    /// Verify a bundle.
    Bundle(bundle::Bundle),
}

/// Parses the command line, runs the command and returns the exit code:
/// 0 done, 1 failed, 2 bad input.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Command::Run(run) => run.run(),
            Command::Clips(clips) => clips.run(),
            Command::Bundle(bundle) => bundle.run(),
        },
        Err(error) => {
            // Nothing can be done where not even the usage text can be shown.
            let _ = error.print();
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}
