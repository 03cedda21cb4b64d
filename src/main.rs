//! The `e4` binary: parse, validate, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    e4::cli::main()
}
