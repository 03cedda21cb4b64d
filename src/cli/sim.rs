//! `e4 sim`: a board without the board.
//!
//! Standard output carries the figures: words, or with `--json` one JSON object a
//! simulation. Every figure is marked *simulated*, with what the board rests on.

mod report;
mod tables;

use super::complain;
use crate::board::{self, Description, Of, SegmentLoad, UnknownBoard, boards};
use crate::config::shipped;
use crate::engine::bundle::{Bundle, BundleError};
use crate::plan::planner::Objective;
use crate::sim::table::Rate;
use crate::sim::trace::{ReadTrace, TraceError};
use crate::sim::{MethodName, Run, SimError, simulate};
use clap::{Args, ValueEnum};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `e4 sim`.
#[derive(Args, Clone, Debug)]
pub struct Sim {
    /// The board to simulate: nano, tx2, xavier-nx, agx-xavier, orin-nano, agx-orin.
    #[arg(long, value_name = "NAME", required_unless_present = "table")]
    board: Option<String>,
    /// The bundle whose segments run; unset: the shipped one. With --table one or
    /// several.
    #[arg(long, value_name = "DIR", num_args = 1..)]
    bundle: Vec<PathBuf>,
    /// Where frames leave: a trace that e4 run --trace has written. With --table
    /// three a bundle: of gates, of always:K for its last exit, and of softmax.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    trace: Vec<PathBuf>,
    /// What sets the clocks [default: by the trace; ours for gates, softmax for
    /// softmax, governors for always:K].
    #[arg(long, value_enum, conflicts_with = "table")]
    method: Option<Name>,
    /// What is to be least, where the method has a choice.
    #[arg(long, value_enum, default_value_t = Goal::Energy, conflicts_with = "table")]
    objective: Goal,
    /// From a frame's arrival to its answer, in milliseconds [default: the time to
    /// the next frame].
    #[arg(long, value_name = "X", value_parser = above_zero)]
    deadline_ms: Option<f64>,
    /// Frames a second [default: 30; with --table 30 and, apart, --load 0.5].
    #[arg(long, value_name = "HZ", value_parser = rate)]
    fps: Option<f64>,
    /// In place of --fps: as many frames as keep full depth at the highest clocks busy
    /// for this share of the time.
    #[arg(long, value_name = "SHARE", value_parser = load, conflicts_with = "fps")]
    load: Option<f64>,
    /// Seed of noise, jitter, searches and learners: same seed, same bytes.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Frames to judge, the trace being repeated [default: each of the trace once,
    /// but those that methods may learn from].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Print JSON, one object a simulation.
    #[arg(long)]
    json: bool,
    /// Write the figures to this file, too, as JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "table")]
    summary: Option<PathBuf>,
    /// Run every method on the five boards and print the table.
    #[arg(long, conflicts_with = "board")]
    table: bool,
    /// Write the table here: table.md, table.csv and one BOARD.svg a board.
    #[arg(long, value_name = "DIR", requires = "table")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Goal {
    /// Energy of a frame, idle stretch included.
    Energy,
    /// Latency of a frame.
    Latency,
    /// Their product.
    Edp,
}

impl Goal {
    fn objective(self) -> Objective {
        match self {
            Self::Energy => Objective::Energy,
            Self::Latency => Objective::Latency,
            Self::Edp => Objective::Edp,
        }
    }
}

/// A method as clap knows it: the names of the library.
#[derive(Clone, Copy, Debug)]
struct Name(MethodName);

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Name; MethodName::ALL.len()] = {
            let mut all = [Name(MethodName::Ours); MethodName::ALL.len()];
            let mut at = 0;
            while at < all.len() {
                all[at] = Name(MethodName::ALL[at]);
                at += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()).help(self.0.title()))
    }
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
enum SimulationError {
    #[error("--board: {0}")]
    Board(#[from] UnknownBoard),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(
        "engines/mobilenetv2-e5 is neither beside the executable nor in the current folder; name another with --bundle"
    )]
    NotShipped,
    #[error(
        "--bundle and --trace are given {bundles} and {traces} times; without --table each is one"
    )]
    Many { bundles: usize, traces: usize },
    #[error("--trace {0}")]
    Trace(#[from] TraceError),
    #[error("--trace {path}: {source}", path = path.display())]
    Run { path: PathBuf, source: SimError },
    #[error("--table: {0}")]
    Table(SimError),
    #[error("--trace {path}: it is of no bundle that --bundle names", path = path.display())]
    Foreign { path: PathBuf },
    #[error(
        "--table: no --trace of {bundle} is of --exit-policy {needs}; record it with e4 run --trace"
    )]
    Missing { bundle: String, needs: String },
    #[error("{flag} {path}: {source}", path = path.display())]
    Write {
        flag: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("--out: {0}")]
    Draw(String),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl SimulationError {
    fn code(&self) -> u8 {
        match self {
            Self::Write { .. } | Self::Draw(_) | Self::Output(_) => 1,
            _ => 2,
        }
    }
}

/// A bundle as the simulation sees it.
#[derive(Debug)]
struct Network {
    loads: Vec<SegmentLoad>,
    of: Of,
}

impl Network {
    fn open(path: &Path) -> Result<Self, BundleError> {
        let bundle = Bundle::open(path)?;
        Ok(Self {
            loads: board::loads(&bundle)?,
            of: Of::bundle(&bundle),
        })
    }
}

impl Sim {
    /// Runs the command: 0 done, 1 output failed, 2 bad input.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let done = match self.table {
            true => self.tabulate(),
            false => self.simulate(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(SimulationError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Err(error) => {
                complain("e4 sim", &error);
                ExitCode::from(error.code())
            }
        }
    }

    fn simulate(&self) -> Result<(), SimulationError> {
        let board = board::named(self.board.as_deref().unwrap_or_default())?;
        let (bundles, path) = match (self.bundle.as_slice(), self.trace.as_slice()) {
            ([] | [_], [trace]) => (self.bundles()?, trace),
            (bundles, traces) => {
                return Err(SimulationError::Many {
                    bundles: bundles.len(),
                    traces: traces.len(),
                });
            }
        };
        let network = Network::open(&bundles[0])?;
        let trace = ReadTrace::read(path)?;
        let run = Run {
            board,
            loads: &network.loads,
            of: &network.of,
            trace: &trace,
            method: self.method.map_or_else(|| usual(&trace), |name| name.0),
            objective: self.objective.objective(),
            pace: self.rate().unwrap_or(Rate::Fps(30.0)).pace(
                board,
                &network.loads,
                self.deadline_ms,
            ),
            seed: self.seed,
            frames: self.frames,
        };
        let simulated = simulate(&run).map_err(|source| SimulationError::Run {
            path: path.clone(),
            source,
        })?;
        let report = report::Report::new(&run, &simulated);
        if let Some(file) = &self.summary {
            let text = report.json();
            std::fs::write(file, text).map_err(written("--summary", file))?;
        }
        print(&match self.json {
            true => report.json(),
            false => report.words(),
        })
    }

    /// The bundles asked for, or the shipped one.
    fn bundles(&self) -> Result<Vec<PathBuf>, SimulationError> {
        if !self.bundle.is_empty() {
            return Ok(self.bundle.clone());
        }
        let usual = shipped(Path::new("engines/mobilenetv2-e5"));
        Ok(vec![usual.ok_or(SimulationError::NotShipped)?])
    }

    fn rate(&self) -> Option<Rate> {
        self.fps.map(Rate::Fps).or(self.load.map(Rate::Load))
    }
}

/// The method that a trace is for, if none is named.
fn usual(trace: &ReadTrace) -> MethodName {
    use crate::gates::ExitPolicy;
    match trace.policy {
        ExitPolicy::Gates => MethodName::Ours,
        ExitPolicy::Softmax(_) => MethodName::Softmax,
        ExitPolicy::Always(_) => MethodName::Governors,
    }
}

/// The boards of the table: the paper's five.
fn five() -> impl Iterator<Item = &'static Description> {
    boards().iter().filter(|board| board.name != "agx-xavier")
}

fn print(text: &str) -> Result<(), SimulationError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(SimulationError::Output)
}

fn written(flag: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SimulationError {
    move |source| SimulationError::Write {
        flag,
        path: path.to_owned(),
        source,
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1e9 => Ok(value),
        _ => Err("a number above 0 is needed".to_owned()),
    }
}

fn load(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (1e-4..=10.0).contains(&value) => Ok(value),
        _ => Err("a load is a share from 0.0001 to 10".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.01..=10_000.0).contains(&value) => Ok(value),
        _ => Err("a rate is a number from 0.01 to 10000".to_owned()),
    }
}
