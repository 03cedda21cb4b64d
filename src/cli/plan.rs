//! `e4 plan`: cost tables and what follows from them.

use super::complain;
use crate::plan::cost::{Cost, CostError, CostTable, Row};
use clap::Args;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `e4 plan`.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Print a cost table. A plain grid (CSV with
    /// cpu_khz,gpu_khz,emc_khz,latency_s,energy_j) is read as a table of one
    /// segment.
    #[arg(long, value_name = "FILE")]
    show: PathBuf,
    /// Write the table to this file, too, in e4's own format.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("--show {0}")]
    Read(CostError),
    #[error("--out {0}")]
    Write(CostError),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Plan {
    /// Runs the command: 0 done, 1 output failed, 2 bad input.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match self.show() {
            Ok(()) => ExitCode::SUCCESS,
            Err(PlanError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Err(error) => {
                complain("e4 plan", &error);
                match error {
                    PlanError::Read(_) => ExitCode::from(2),
                    PlanError::Write(_) | PlanError::Output(_) => ExitCode::FAILURE,
                }
            }
        }
    }

    fn show(&self) -> Result<(), PlanError> {
        let table = CostTable::read(&self.show).map_err(PlanError::Read)?;
        if let Some(file) = &self.out {
            table.write(file).map_err(PlanError::Write)?;
        }
        let text = text(&table);
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).map_err(PlanError::Output)
    }
}

fn text(table: &CostTable) -> String {
    let head = &table.head;
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (name, value) in [
        ("board", &head.board),
        ("energy of", &head.boundary),
        ("bundle", &head.bundle),
        ("sha256", &head.bundle_sha256),
    ] {
        let known = if value.is_empty() { "not known" } else { value };
        let _ = writeln!(text, "{name:10} {known}");
    }
    let _ = writeln!(
        text,
        "{:>7} {:>9} {:>9} {:>9}  {:>22}  {:>22} {:>7}  source",
        "segment", "cpu MHz", "gpu MHz", "emc MHz", "latency ms", "energy mJ", "samples",
    );
    for row in table.rows() {
        line(&mut text, row);
    }
    text
}

fn line(text: &mut String, row: &Row) {
    let mhz = row.point.khz().map(|khz| match khz {
        0 => "-".to_owned(),
        _ => format!("{:.1}", f64::from(khz) / 1e3),
    });
    let milli = |cost: Cost| format!("{:.4} +- {:.4}", 1e3 * cost.mean, 1e3 * cost.spread);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{:>7} {:>9} {:>9} {:>9}  {:>22}  {:>22} {:>7}  {}",
        row.segment,
        mhz[0],
        mhz[1],
        mhz[2],
        milli(row.latency_s),
        milli(row.energy_j),
        row.samples,
        row.source.name(),
    );
}
