//! Commands: one file each.

pub mod bundle;

use std::process::ExitCode;

/// Parses the command line, runs the command and returns the exit code:
/// 0 done, 1 failed, 2 bad input.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
