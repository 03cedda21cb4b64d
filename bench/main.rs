//! `cargo bench`: every bench, one table.
//!
//! Each bench lets its candidates take turns, round by round, on the same cores;
//! a line gives the median over all rounds, what it is compared with, the ratio,
//! the noise (half the spread of the rounds' own medians) and whether the target
//! is met. Ratios are to be trusted rather than times, the more so on a machine
//! with other work. Nothing is asserted.
//!
//! `cargo bench [-- [engines] [hop] [wake] [overhead] [gates] [tensor] [planner]
//! [--rounds N] [--bundle DIR]]`
//!
//! `bench/compare` is the same program with the first word `compare`.

mod engines;
mod gates;
mod hop;
mod host;
mod overhead;
mod peers;
mod planner;
mod table;
mod tensor;
mod wake;

use anyhow::{Context, bail};
use host::Host;
use std::path::PathBuf;
use table::Row;

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct Request {
    host: Host,
    /// Rounds of every bench; each has a default of its own.
    rounds: Option<usize>,
    bundle: PathBuf,
}

impl Request {
    fn rounds(&self, default: usize) -> usize {
        self.rounds.unwrap_or(default).max(1)
    }
}

type Bench = fn(&Request) -> anyhow::Result<Vec<Row>>;

const BENCHES: [(&str, Bench); 7] = [
    ("engines", engines::run),
    ("hop", hop::run),
    ("wake", wake::run),
    ("overhead", overhead::run),
    ("gates", gates::run),
    ("tensor", tensor::run),
    ("planner", planner::run),
];

fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    if words.next().is_some_and(|word| word == "compare") {
        return peers::main(words);
    }
    let mut request = Request {
        host: Host::here(),
        rounds: None,
        bundle: concat!(env!("CARGO_MANIFEST_DIR"), "/engines/mobilenetv2-e5").into(),
    };
    let mut chosen = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says so to every bench.
            "--bench" => {}
            "--rounds" => {
                let rounds = arguments.next().context("--rounds needs a number")?;
                request.rounds = Some(rounds.parse().context("--rounds")?);
            }
            "--bundle" => {
                request.bundle = arguments.next().context("--bundle needs a folder")?.into();
            }
            name if BENCHES.iter().any(|(bench, _)| *bench == name) => chosen.push(argument),
            other => bail!(
                "{other} is no bench: they are engines, hop, wake, overhead, gates, tensor and planner"
            ),
        }
    }
    eprintln!("{}", request.host);
    let mut rows = Vec::new();
    for (name, run) in BENCHES {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            eprintln!("{name} ...");
            rows.extend(run(&request)?);
        }
    }
    table::print(&rows);
    Ok(())
}
