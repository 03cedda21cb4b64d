//! `e4 plan`: makes a plan from a cost table, or shows a cost table.

mod exits;
mod report;
pub(crate) mod show;

use super::complain;
use super::flags::{Settings, Subset};
use crate::board;
use crate::config::{Config, ConfigError};
use crate::engine::bundle::{Bundle, BundleError};
use crate::plan::belief::Beliefs;
use crate::plan::changes::{self, Changes};
use crate::plan::cost::{CostError, CostTable};
use crate::plan::file::PlanFileError;
use crate::plan::make::{Ask, Made, MakeError, make};
use crate::plan::{Axis, ClockPoint};
use clap::Args;
use exits::ExitsError;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Settings of `e4 run` that a plan depends on.
#[derive(Clone, Debug)]
pub(crate) struct PlanKeys;

impl Subset for PlanKeys {
    const KEYS: &'static [&'static str] = &[
        "dvfs.objective",
        "dvfs.deadline_ms",
        "dvfs.power_cap_w",
        "dvfs.spread",
        "dvfs.transitions",
    ];
}

/// Flags of `e4 plan`.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Make a plan from this cost table, as `e4 profile --out` writes it. A plain grid
    /// (CSV with cpu_khz,gpu_khz,emc_khz,latency_s,energy_j) is read as a table of one
    /// segment.
    #[arg(long, value_name = "FILE", required_unless_present = "show")]
    table: Option<PathBuf>,
    /// Print a cost table, or a plain grid, and make no plan.
    #[arg(long, value_name = "FILE", conflicts_with = "table")]
    show: Option<PathBuf>,
    /// Write the plan (e4.plan/1) here, for `e4 run --dvfs plan --plan FILE`; with
    /// --show, write the table in e4's own format.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where frames leave: a share or a count for each exit point, as 70,20,10.
    #[arg(long, value_name = "SHARES", value_delimiter = ',', group = "mix")]
    exits: Option<Vec<f64>>,
    /// Take the exits from the summary of a run (`e4 run --summary`).
    #[arg(long, value_name = "FILE", group = "mix")]
    summary: Option<PathBuf>,
    /// Learn classes of frames from a run's JSON lines (`e4 run --json`): shallow and
    /// deep ones follow each other, and each class gets clocks of its own.
    #[arg(long, value_name = "FILE", group = "mix")]
    lines: Option<PathBuf>,
    /// Classes to learn from --lines.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    beliefs: u8,
    /// The bundle: its calibrated exits, its frame interval and its digest serve where
    /// nothing else tells them.
    #[arg(long, value_name = "DIR")]
    bundle: Option<PathBuf>,
    /// Milliseconds from a frame to the next. Unset: the deadline, or the bundle's frame
    /// interval.
    #[arg(long, value_name = "X", value_parser = above_zero)]
    interval_ms: Option<f64>,
    /// The board whose usual transition times count where --transitions does not tell:
    /// nano, tx2, xavier-nx, agx-xavier, orin-nano, agx-orin. Unset: the table's.
    #[arg(long, value_name = "NAME")]
    board: Option<String>,
    /// Watts that the board draws while it waits, where the table does not say.
    #[arg(long, value_name = "W", value_parser = not_negative)]
    idle_w: Option<f64>,
    /// Highest CPU clock to plan with.
    #[arg(
        long,
        value_name = "KHZ",
        default_value_t = 0,
        hide_default_value = true
    )]
    max_cpu_khz: u32,
    /// Highest GPU clock to plan with.
    #[arg(
        long,
        value_name = "KHZ",
        default_value_t = 0,
        hide_default_value = true
    )]
    max_gpu_khz: u32,
    /// Highest memory clock to plan with.
    #[arg(
        long,
        value_name = "KHZ",
        default_value_t = 0,
        hide_default_value = true
    )]
    max_emc_khz: u32,
    /// Print one JSON object (e4.plan-report/1) instead of words.
    #[arg(long, conflicts_with = "show")]
    json: bool,
    #[command(flatten)]
    settings: Settings<PlanKeys>,
}

fn above_zero(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let fine = number.filter(|x| *x > 0.0 && x.is_finite());
    fine.ok_or_else(|| "must be a number above 0".to_owned())
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let fine = number.filter(|x| *x >= 0.0 && x.is_finite());
    fine.ok_or_else(|| "must be a number that is not below 0".to_owned())
}

#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("{flag} {error}")]
    Read {
        flag: &'static str,
        error: CostError,
    },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--bundle {0}")]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Exits(#[from] ExitsError),
    #[error("--transitions {path}: {reason}", path = path.display())]
    Transitions { path: PathBuf, reason: String },
    #[error("--board: {0}")]
    Board(#[from] board::UnknownBoard),
    #[error("nothing says how often frames come: give --deadline-ms, --interval-ms or --bundle")]
    NoInterval,
    #[error(
        "the table is for the bundle {table} with another digest than {bundle}'s; give the bundle that was profiled"
    )]
    OtherBundle { table: String, bundle: String },
    #[error("--table {path}: {error}", path = path.display())]
    Make { path: PathBuf, error: MakeError },
    #[error("--out {0}")]
    WriteTable(CostError),
    #[error("--out {0}")]
    Write(PlanFileError),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl PlanError {
    fn code(&self) -> u8 {
        match self {
            Self::Make {
                error: MakeError::Deadline { .. } | MakeError::Power { .. },
                ..
            }
            | Self::WriteTable(_)
            | Self::Write(_)
            | Self::Output(_) => 1,
            _ => 2,
        }
    }
}

impl Plan {
    /// Runs the command: 0 done, 1 nothing keeps the deadline or output failed, 2 bad
    /// input.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let text = match (&self.show, &self.table) {
            (Some(file), _) => self.show(file.clone()),
            (None, Some(file)) => self.make(file.clone()),
            (None, None) => Ok(String::new()),
        };
        let said = text.and_then(|text| {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).map_err(PlanError::Output)
        });
        match said {
            Ok(()) => ExitCode::SUCCESS,
            Err(PlanError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Err(error) => {
                complain("e4 plan", &error);
                ExitCode::from(error.code())
            }
        }
    }

    fn show(&self, file: PathBuf) -> Result<String, PlanError> {
        let read = |error| PlanError::Read {
            flag: "--show",
            error,
        };
        let table = CostTable::read(&file).map_err(read)?;
        if let Some(file) = &self.out {
            table.write(file).map_err(PlanError::WriteTable)?;
        }
        Ok(show::text(&table))
    }

    fn make(&self, path: PathBuf) -> Result<String, PlanError> {
        let read = |error| PlanError::Read {
            flag: "--table",
            error,
        };
        let table = CostTable::read(&path).map_err(read)?;
        let config = self.settings.config()?;
        let ask = self.ask(&table, &config)?;
        let made = make(&table, &ask).map_err(|error| PlanError::Make { path, error })?;
        if let Some(file) = &self.out {
            made.file.write(file).map_err(PlanError::Write)?;
        }
        Ok(self.report(&made, &ask))
    }

    fn report(&self, made: &Made, ask: &Ask) -> String {
        match self.json {
            true => report::json(made, ask),
            false => report::text(made, ask),
        }
    }

    fn ask(&self, table: &CostTable, config: &Config) -> Result<Ask, PlanError> {
        let bundle = self.bundle.as_ref().map(Bundle::open).transpose()?;
        if let Some(bundle) = &bundle {
            let known = &table.head.bundle_sha256;
            if !known.is_empty() && known != bundle.digest() {
                return Err(PlanError::OtherBundle {
                    table: table.head.bundle.clone(),
                    bundle: bundle.manifest().name.clone(),
                });
            }
        }
        let dvfs = &config.dvfs;
        let own_ns = bundle.as_ref().map(|b| b.manifest().frame_interval_ns);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
        let own_ms = own_ns.map(|ns| ns as f64 / 1e6);
        let interval_ms = self.interval_ms.or(dvfs.deadline_ms).or(own_ms);
        let interval_ms = interval_ms.ok_or(PlanError::NoInterval)?;
        let deadline_ms = dvfs.deadline_ms.unwrap_or(interval_ms);
        Ok(Ask {
            objective: dvfs.objective,
            interval_s: interval_ms / 1e3,
            spreads: dvfs.spread,
            power_cap_w: dvfs.power_cap_w,
            beliefs: self.beliefs(table, bundle.as_ref())?,
            changes: self.changes(table, config)?,
            idle_w: self.idle_w,
            limit: ClockPoint::new([self.max_cpu_khz, self.max_gpu_khz, self.max_emc_khz]),
            bundle: bundle.map(|b| (b.manifest().name.clone(), b.digest().to_owned())),
            board: self.board.clone().unwrap_or_default(),
            ..Ask::new(deadline_ms / 1e3, Vec::new())
        })
    }

    fn beliefs(&self, table: &CostTable, bundle: Option<&Bundle>) -> Result<Beliefs, PlanError> {
        let segments = table.segments().len();
        let beliefs = if let Some(shares) = &self.exits {
            exits::of_shares("--exits", shares, segments)
        } else if let Some(file) = &self.summary {
            exits::of_summary(file, segments)
        } else if let Some(file) = &self.lines {
            exits::of_lines(file, segments, self.beliefs.into())
        } else if let Some(bundle) = bundle {
            let rates = bundle.manifest().exits.iter().map(|e| f64::from(e.rate));
            exits::of_shares("--bundle", &rates.collect::<Vec<_>>(), segments)
        } else if segments <= 1 {
            exits::of_shares("--exits", &[1.0], segments)
        } else {
            Err(ExitsError::Unknown)
        };
        Ok(beliefs?)
    }

    /// As measured, else those of the board, else usual ones.
    fn changes(&self, table: &CostTable, config: &Config) -> Result<Changes, PlanError> {
        let mut changes = Changes::default();
        let board = match &self.board {
            Some(name) => Some(board::named(name)?),
            // A table's board need not be one that is known here.
            None => board::named(&table.head.board).ok(),
        };
        for axis in Axis::ALL.into_iter().filter(|_| board.is_some()) {
            for up in [false, true] {
                if let Some(board) = board {
                    changes.set(axis, up, board.change_spread_ms(axis, up)[1] / 1e3);
                }
            }
        }
        if let Some(path) = &config.dvfs.transitions {
            let wrong = |reason: String| PlanError::Transitions {
                path: path.clone(),
                reason,
            };
            let text = changes::text(path).map_err(wrong)?;
            changes.take(&changes::read(&text).map_err(wrong)?);
        }
        Ok(changes)
    }
}
