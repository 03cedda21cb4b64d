//! Commands: one file each.

pub mod bundle;
pub mod cameras;
pub mod clips;
pub mod doctor;
pub mod flags;
pub mod plan;
pub mod profile;
pub mod rate;
pub mod restore;
pub mod run;
pub mod search;
pub mod sim;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::fmt::Display;
use std::io::Write;
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
    /// Run the network on a camera, a clip, a folder of clips or generated scenes.
    #[command(allow_negative_numbers = true)]
    Run(flags::RunArgs),
    /// Write labelled clips of generated scenes.
    #[command(allow_negative_numbers = true)]
    Clips(clips::Clips),
    /// List the cameras and what they offer.
    Cameras(cameras::Cameras),
    /// Say what this host lacks for a run, with the command that fixes it.
    #[command(allow_negative_numbers = true)]
    Doctor(doctor::Doctor),
    /// Verify a bundle.
    Bundle(bundle::Bundle),
    /// Make a plan of clocks from a cost table, or show the table.
    #[command(allow_negative_numbers = true)]
    Plan(Box<plan::Plan>),
    /// Search recorded grids for the clocks of least energy under a latency cap.
    #[command(allow_negative_numbers = true)]
    Search(search::Search),
    /// Measure this board: what the segments cost at which clocks, or how long its
    /// clocks take to change.
    Profile(Box<profile::Profile>),
    /// Run frames on a simulated board, in virtual time: what each way of setting the
    /// clocks would cost.
    #[command(allow_negative_numbers = true)]
    Sim(sim::Sim),
    /// Give back the clocks that a killed e4 has left changed.
    Restore(restore::Restore),
}

/// Parses the command line, runs the command and returns the exit code:
/// 0 done, 1 failed, 2 bad input.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Command::Run(run) => run.run(),
            Command::Clips(clips) => clips.run(),
            Command::Cameras(cameras) => cameras.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Bundle(bundle) => bundle.run(),
            Command::Plan(plan) => plan.run(),
            Command::Search(search) => search.run(),
            Command::Sim(sim) => sim.run(),
            Command::Profile(profile) => profile.run(),
            Command::Restore(restore) => restore.run(),
        },
        Err(asked) if asked.exit_code() == 0 => {
            // Nothing can be done where not even the usage text can be shown.
            let _ = asked.print();
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain("e4", &sentence(&error));
            ExitCode::from(2)
        }
    }
}

/// The commands to choose from, or those of the command that was `given`.
fn missing_command(given: Option<&str>) -> String {
    let program = Cli::command();
    let command = given.and_then(|name| program.find_subcommand(name));
    let commands = command.unwrap_or(&program).get_subcommands();
    let names: Vec<_> = commands.map(clap::Command::get_name).collect();
    format!(
        "a command is missing; one of {}, or --help",
        names.join(", ")
    )
}

/// Says a sentence to the user. Standard error may be closed; there is nobody to
/// tell then.
fn complain(who: &str, sentence: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "{who}: {sentence}");
}

/// A usage error in one line: what is wrong and, where there is one, the hint.
fn sentence(error: &clap::Error) -> String {
    if let ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand =
        error.kind()
    {
        return missing_command(std::env::args().nth(1).as_deref());
    }
    let text = error.render().to_string();
    let mut parts = text
        .split("\n\n")
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let what = parts.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    match parts.find_map(|part| part.strip_prefix("tip: ").map(str::to_owned)) {
        Some(tip) => format!("{what}; {tip}"),
        None => format!("{what}; see --help"),
    }
}
