//! The cases that need a real kernel and its devices: run by `tests/vm/run`.
//!
//! One binary. Inside the virtual machine, as root, it runs every case in a
//! process of its own, under a time limit, and puts the machine back in order
//! after each (`runner`). Outside it runs no case: `cargo test` sees no tests
//! here, and running a case on a developer's own kernel is not possible by
//! accident. How to write a case: `tests/vm/README.md`.
#![allow(
    dead_code,
    reason = "the guest's support is for cases on any of the machines"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a case fails by unwrapping, in a process of its own"
)]

mod case;
mod cases;
mod guest;
#[path = "../support/power_contract.rs"]
mod power_contract;
mod runner;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["cases", arch] => list(arch),
        ["guest", rest @ ..] => runner::run(rest),
        ["case", name] => case::run_alone(name),
        _ => on_the_host(&words),
    }
}

fn list(arch: &str) -> ExitCode {
    for case in cases::all().iter().filter(|case| case.runs_on(arch)) {
        println!("{case}");
    }
    ExitCode::SUCCESS
}

/// What `cargo test` sees: a test binary without tests.
fn on_the_host(words: &[&str]) -> ExitCode {
    if !words.contains(&"--list") {
        println!(
            "0 tests; {} cases run in a virtual machine: tests/vm/run x86_64",
            cases::all().len()
        );
    }
    ExitCode::SUCCESS
}
