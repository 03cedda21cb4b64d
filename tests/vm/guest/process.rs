//! Programs that cases run: `e4` itself and tools.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;

/// The program under test.
pub fn e4(arguments: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/e4");
    command.args(arguments);
    command
}

/// Runs a program to its end; what it printed where it ended well, else an error
/// with all that it said.
pub fn output(command: &mut Command) -> Result<String> {
    let done = command
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(
        done.status.success(),
        "{command:?} ended with {}: {}{text}",
        done.status,
        String::from_utf8_lossy(&done.stderr),
    );
    Ok(text)
}

/// Runs `e4 run` with a summary file; returns the summary and the lines of results.
pub fn e4_run(arguments: &[&str]) -> Result<(Value, Vec<Value>)> {
    const SUMMARY: &str = "/tmp/summary.json";
    let text = output(e4(&["run", "--json", "--summary", SUMMARY]).args(arguments))?;
    let lines: serde_json::Result<Vec<Value>> = text.lines().map(serde_json::from_str).collect();
    let summary = serde_json::from_str(&super::read(SUMMARY)?)?;
    Ok((summary, lines?))
}
