//! `e4 doctor`: whether this host can run a configuration as asked, and the
//! command that fixes what it lacks.
//!
//! Exit codes: 0 ready, 1 not ready, 2 a bad configuration.

use super::complain;
use super::flags::{RunArgs, given, setting_flags};
use crate::config::{ConfigError, Key, Place};
use crate::doctor::{Host, Report, Subject, examine};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Who speaks.
const NAME: &str = "e4 doctor";
const CONFIG: &str = "config";
const JSON: &str = "json";
const ROOT: &str = "sysfs-root";

/// What the command line of `e4 doctor` says: the flags of `e4 run`, and its own.
#[derive(Clone, Debug, Default)]
pub struct Doctor {
    run: RunArgs,
    json: bool,
    root: Option<PathBuf>,
}

impl Doctor {
    /// Runs the command: 0 ready, 1 not ready, 2 a bad configuration.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let report = match self.examine() {
            Ok(report) => report,
            Err(error) => {
                complain(NAME, &error);
                return ExitCode::from(2);
            }
        };
        match self.print(&report) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                complain(NAME, &format_args!("standard output: {error}"));
                ExitCode::FAILURE
            }
            _ if report.ready => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    fn examine(&self) -> Result<Report, ConfigError> {
        let mut layers = self.run.layers()?;
        let config = layers.finish()?;
        if let Some(root) = self.root.as_ref().filter(|root| !root.is_dir()) {
            return Err(ConfigError::Setting {
                place: Place::Flag { flag: ROOT },
                reason: format!("{} is no folder", root.display()),
            });
        }
        let host = self.root.as_ref().map_or_else(Host::this, Host::under);
        Ok(examine(&Subject::new(&config, &layers, host)?))
    }

    fn print(&self, report: &Report) -> io::Result<()> {
        let text = match self.json {
            true => report.json()?,
            false => report.text(),
        };
        io::stdout().lock().write_all(text.as_bytes())
    }
}

/// Whether a setting's flag means here what it means to `e4 run`.
fn is_shared(key: &Key) -> bool {
    ![JSON, ROOT].contains(&key.flag)
}

impl Args for Doctor {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(ValueParser::path_buf())
            .help("The configuration to examine the host for; the flags of e4 run win over it");
        let json = Arg::new(JSON)
            .long(JSON)
            .action(ArgAction::SetTrue)
            .help("Print one JSON object (e4.doctor/1) instead of lines");
        let root = Arg::new(ROOT)
            .long(ROOT)
            .value_name("DIR")
            .value_parser(ValueParser::path_buf())
            .help("Examine the proc, sys, dev and usr under DIR instead of this host's");
        let own = command.arg(config).arg(json).arg(root);
        own.args(setting_flags(is_shared).map(|flag| flag.hide_short_help(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Doctor {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, error::Error> {
        let run = RunArgs {
            config: matches.get_one::<PathBuf>(CONFIG).cloned(),
            print_config: false,
            settings: given(matches, is_shared),
        };
        Ok(Self {
            run,
            json: matches.get_flag(JSON),
            root: matches.get_one::<PathBuf>(ROOT).cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), error::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Doctor, error::Error> {
        let command = Doctor::augment_args(Command::new("doctor").no_binary_name(true));
        Doctor::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    #[test]
    fn clap_finds_no_fault_with_the_flags() {
        Doctor::augment_args(Command::new("doctor")).debug_assert();
    }

    #[test]
    fn the_flags_of_a_run_are_taken_and_json_is_its_own() {
        let doctor = parse(&["--json", "--rt-class", "fifo", "--infer-core", "1"]).unwrap();
        assert!(doctor.json);
        let config = doctor.run.layers().unwrap().finish().unwrap();
        assert!(config.real_time() && !config.sink.json);
        assert_eq!(parse(&["--print-config"]).unwrap_err().exit_code(), 2);
    }
}
