//! `e4 restore`: gives back the clocks that a killed e4 has left changed.
//!
//! Standard output says what was given back, a line a domain (or one JSON object);
//! standard error says what did not go as it should. Exit code 0 also where there
//! is nothing to give back, 1 where something could not be.

use super::complain;
use crate::clocks::guard::{Report, recover};
use crate::clocks::{GuardError, Tree};
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `e4 restore`.
#[derive(Args, Clone, Debug)]
pub struct Restore {
    /// Where the killed e4 kept what the clocks were.
    #[arg(long, value_name = "DIR", default_value = "/run/e4")]
    pub runtime_dir: PathBuf,
    /// Root of the tree with the clocks, when it is to be that one and no other.
    /// Unset: the one that each guard names.
    #[arg(long, value_name = "DIR")]
    pub sysfs_root: Option<PathBuf>,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

const NAME: &str = "e4 restore";

impl Restore {
    /// Gives the clocks back; returns the exit code.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let tree = self.sysfs_root.as_ref().map(Tree::new);
        let reports = match recover(&self.runtime_dir, tree.as_ref()) {
            Ok(reports) => reports,
            Err(error) => {
                complain(NAME, &error);
                return match error {
                    GuardError::RuntimeDir { .. } => ExitCode::from(2),
                    _ => ExitCode::FAILURE,
                };
            }
        };
        for sentence in reports.iter().flat_map(Report::complaints) {
            complain(NAME, &sentence);
        }
        let done = reports.iter().all(Report::is_done);
        let text = if self.json {
            json(&reports, done)
        } else {
            lines(&reports)
        };
        match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                complain(NAME, &format_args!("standard output: {error}"));
                ExitCode::FAILURE
            }
            _ if done => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

fn lines(reports: &[Report]) -> String {
    if reports.is_empty() {
        return "nothing is to be given back\n".to_owned();
    }
    reports.iter().map(|report| report.line() + "\n").collect()
}

fn json(reports: &[Report], done: bool) -> String {
    let object = serde_json::json!({
        "schema": "e4.restore/1",
        "done": done,
        "domains": reports,
    });
    format!("{object}\n")
}
