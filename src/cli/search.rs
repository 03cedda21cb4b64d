//! `e4 search`: runs search methods over recorded grids of clock points.

use super::complain;
use crate::plan::grid::{Grid, GridError};
use crate::plan::point::ClockPoint;
use crate::plan::search::{Descent, Goal, Method, descent};
use crate::plan::space::SpaceError;
use crate::plan::trial::compare::{self, SETTINGS, Setting};
use crate::plan::trial::{Outcome, Trial, chart};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `e4 search`.
#[derive(Args, Clone, Debug)]
pub struct Search {
    /// Recorded grid, CSV with cpu_khz,gpu_khz,emc_khz,latency_s,energy_j; with
    /// --compare several files, or folders of .csv files.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    grid: Vec<PathBuf>,
    /// Method.
    #[arg(long, value_enum, required_unless_present = "compare")]
    method: Option<MethodName>,
    /// Highest latency allowed, in milliseconds.
    #[arg(long, value_name = "X", value_parser = above_zero, conflicts_with = "cap_slowdown")]
    cap_ms: Option<f64>,
    /// Highest latency allowed, over that at the highest clocks.
    #[arg(long, value_name = "F", value_parser = above_zero)]
    cap_slowdown: Option<f64>,
    /// Probes that may be spent [default: 32; all points for exhaustive].
    #[arg(long, value_name = "N", value_parser = budget)]
    budget: Option<usize>,
    /// Relative deviation of each reading; the method is not told it.
    #[arg(long, value_name = "SIGMA", value_parser = noise)]
    noise: Option<f64>,
    /// Seed of noise and method.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Print JSON lines: the probes, then the choice.
    #[arg(long)]
    json: bool,
    /// Draw energy against latency with the probes.
    #[arg(long, value_name = "FILE.svg", conflicts_with = "compare")]
    plot: Option<PathBuf>,
    /// Highest CPU clock allowed, as under a thermal cap.
    #[arg(
        long,
        value_name = "KHZ",
        default_value_t = 0,
        hide_default_value = true
    )]
    max_cpu_khz: u32,
    /// Highest GPU clock allowed.
    #[arg(
        long,
        value_name = "KHZ",
        default_value_t = 0,
        hide_default_value = true
    )]
    max_gpu_khz: u32,
    /// Highest memory clock allowed.
    #[arg(
        long,
        value_name = "KHZ",
        default_value_t = 0,
        hide_default_value = true
    )]
    max_emc_khz: u32,
    /// Coordinate descent: candidates on an axis in a round.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = candidates)]
    candidates: usize,
    /// Coordinate descent: rounds over all axes.
    #[arg(long, value_name = "N", default_value_t = 4)]
    rounds: usize,
    /// Run all methods over the caps none, 1.05, 1.2 and 1.5 and many seeds, and
    /// print a table with 95 % intervals. Without --noise and --budget: no noise
    /// at 24 probes, 3 % and 6 % at 32.
    #[arg(long, conflicts_with_all = ["cap_ms", "cap_slowdown", "seed", "max_cpu_khz", "max_gpu_khz", "max_emc_khz", "candidates", "rounds"])]
    compare: bool,
    /// Seeds of --compare.
    #[arg(long, value_name = "N", default_value_t = 100, requires = "compare", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MethodName {
    /// Physics-informed surrogate with a Gaussian process on its residual.
    Model,
    /// Coordinate descent, E4's algorithm 1.
    Cd,
    /// Random points.
    Random,
    /// Every point.
    Exhaustive,
}

impl MethodName {
    fn method(self) -> Method {
        match self {
            Self::Model => Method::Model,
            Self::Cd => Method::Descent,
            Self::Random => Method::Random,
            Self::Exhaustive => Method::Exhaustive,
        }
    }
}

/// Why a search gave no answer.
#[derive(Debug, thiserror::Error)]
enum SearchError {
    #[error("--grid {0}")]
    Grid(#[from] GridError),
    #[error("--grid {path} holds no .csv file", path = .0.display())]
    NoGrid(PathBuf),
    #[error("--grid names {0} files; one search takes one, --compare takes several")]
    Many(usize),
    #[error("--max-cpu-khz, --max-gpu-khz and --max-emc-khz leave no clock point of the grid")]
    NothingAllowed(#[from] SpaceError),
    #[error(
        "no clock point of the grid keeps the cap of {0:.3} ms; raise --cap-ms or --cap-slowdown"
    )]
    NoPoint(f64),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("--plot: {0}")]
    Plot(String),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl SearchError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Grid(_) | Self::NoGrid(_) | Self::Many(_) | Self::NothingAllowed(_) => 2,
            Self::NoPoint(_) | Self::Io { .. } | Self::Plot(_) | Self::Output(_) => 1,
        }
    }
}

impl Search {
    /// Runs the command: 0 done, 1 no point keeps the cap or output failed, 2 bad
    /// input.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        let done = match self.compare {
            true => self.compare(),
            false => self.search(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(SearchError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                ExitCode::SUCCESS
            }
            Err(error) => {
                complain("e4 search", &error);
                ExitCode::from(error.exit_code())
            }
        }
    }

    fn search(&self) -> Result<(), SearchError> {
        let [path] = self.grid.as_slice() else {
            return Err(SearchError::Many(self.grid.len()));
        };
        let method = self.method.unwrap_or(MethodName::Model).method();
        let grid = Grid::read(path)?;
        let limit = ClockPoint::new([self.max_cpu_khz, self.max_gpu_khz, self.max_emc_khz]);
        let allowed = grid.space.only(|point| point.is_within(limit))?;
        let trial = Trial {
            grid: &grid,
            allowed: &allowed,
            goal: self.goal(&grid, method),
            sigma: self.noise.unwrap_or(0.0),
            seed: self.seed,
        };
        let outcome = self.outcome(&trial, method);
        let report = Report {
            trial: &trial,
            outcome: &outcome,
            method,
        };
        print(&match self.json {
            true => report.json(),
            false => report.lines(),
        })?;
        if let Some(file) = &self.plot {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let title = format!(
                "{name}: {}, {} probes",
                method.name(),
                outcome.history.len()
            );
            let svg = chart::svg(&trial, &outcome, &title).map_err(SearchError::Plot)?;
            std::fs::write(file, svg).map_err(at(file))?;
        }
        match outcome.point {
            Some(_) => Ok(()),
            None => Err(SearchError::NoPoint(1e3 * trial.goal.cap())),
        }
    }

    fn goal(&self, grid: &Grid, method: Method) -> Goal {
        let [latency, _] = grid.costs[grid.space.top()];
        let usual = match method {
            Method::Exhaustive => grid.costs.len(),
            _ => 32,
        };
        Goal {
            cap_s: (self.cap_ms.map(|ms| ms / 1e3)).or(self.cap_slowdown.map(|f| f * latency)),
            budget: self.budget.unwrap_or(usual),
        }
    }

    fn outcome(&self, trial: &Trial<'_>, method: Method) -> Outcome {
        match method {
            Method::Descent => {
                let settings = descent::Settings {
                    candidates: self.candidates,
                    rounds: self.rounds,
                    ..descent::Settings::default()
                };
                trial.run_search(&mut Descent::new(&trial.allowed.1, trial.goal, settings))
            }
            other => trial.run(other),
        }
    }

    fn compare(&self) -> Result<(), SearchError> {
        let grids = files(&self.grid)?
            .iter()
            .map(|path| Grid::read(path))
            .collect::<Result<Vec<_>, _>>()?;
        let methods = match self.method {
            Some(name) => vec![name.method()],
            None => Method::ALL.to_vec(),
        };
        if !self.json {
            print(&format!("{}\n", compare::HEADER))?;
        }
        for setting in self.settings() {
            for &method in &methods {
                let line = compare::line(&grids, method, setting, self.seeds);
                let text = match self.json {
                    true => json!(line).to_string(),
                    false => line.text(),
                };
                print(&(text + "\n"))?;
            }
        }
        Ok(())
    }

    fn settings(&self) -> Vec<Setting> {
        match (self.noise, self.budget) {
            (None, None) => SETTINGS.to_vec(),
            (noise, budget) => vec![Setting {
                sigma: noise.unwrap_or(0.0),
                budget: budget.unwrap_or(32),
            }],
        }
    }
}

/// A finished search, for people or for programs.
struct Report<'a> {
    trial: &'a Trial<'a>,
    outcome: &'a Outcome,
    method: Method,
}

impl Report<'_> {
    fn point(&self, place: usize) -> ClockPoint {
        self.trial.allowed.1.points()[place]
    }

    fn json(&self) -> String {
        let mut text = String::new();
        for (n, probe) in self.outcome.history.iter().enumerate() {
            let mut line = json!({ "probe": n + 1 });
            merge(&mut line, json!(self.point(probe.point)));
            merge(
                &mut line,
                json!({ "latency_s": probe.latency_s, "energy_j": probe.energy_j }),
            );
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        let last = json!({
            "method": self.method.name(),
            "probes": self.outcome.history.len(),
            "choice": self.outcome.choice.map(|choice| self.point(choice.point)),
            "gap": self.outcome.gap,
            "cap_kept": self.outcome.cap_kept,
        });
        let _ = writeln!(text, "{last}");
        text
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        for (n, probe) in self.outcome.history.iter().enumerate() {
            let cost = cost([probe.latency_s, probe.energy_j]);
            let _ = writeln!(
                text,
                "probe {:3}  {cost}  {}",
                n + 1,
                self.point(probe.point)
            );
        }
        self.answer(&mut text);
        text
    }

    fn answer(&self, text: &mut String) {
        let costs = &self.trial.grid.costs;
        let chosen = self.outcome.choice.zip(self.outcome.point);
        let optimum = self.trial.optimum().zip(self.outcome.gap);
        let (Some((choice, point)), Some((optimum, gap))) = (chosen, optimum) else {
            return;
        };
        let truth = costs[point];
        let believed = cost([choice.latency_s, choice.energy_j]);
        let best = self.trial.grid.space.points()[optimum];
        let _ = writeln!(text, "choice     {believed}  {}", self.point(choice.point));
        let _ = writeln!(text, "true       {}  gap {:.2} %", cost(truth), 100.0 * gap);
        let _ = writeln!(text, "optimum    {}  {best}", cost(costs[optimum]));
        let top = costs[self.trial.grid.space.top()];
        let saved = 100.0 * (1.0 - truth[1] / top[1]);
        let _ = writeln!(text, "highest    {}  saved {saved:.1} %", cost(top));
        if let Some(cap) = self.trial.goal.cap_s {
            let kept = if self.outcome.cap_kept {
                "kept"
            } else {
                "broken"
            };
            let over = 100.0 * (truth[0] / cap - 1.0);
            let _ = writeln!(
                text,
                "cap        {:9.3} ms  {kept}: {over:+.2} %",
                1e3 * cap
            );
        }
    }
}

fn cost([latency_s, energy_j]: [f64; 2]) -> String {
    format!("{:9.3} ms {energy_j:9.4} J", 1e3 * latency_s)
}

/// Adds the fields of `more` to the object `line`.
fn merge(line: &mut Value, more: Value) {
    if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
        line.extend(more);
    }
}

/// The files named, and the .csv files of the folders named, by name.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SearchError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).and_then(Iterator::collect);
        let entries: Vec<std::fs::DirEntry> = entries.map_err(at(path))?;
        let paths = entries.into_iter().map(|entry| entry.path());
        let mut inside: Vec<PathBuf> = paths
            .filter(|p| p.extension().is_some_and(|e| e == "csv"))
            .collect();
        if inside.is_empty() {
            return Err(SearchError::NoGrid(path.clone()));
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

fn print(text: &str) -> Result<(), SearchError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(SearchError::Output)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SearchError {
    move |source| SearchError::Io {
        path: path.to_path_buf(),
        source,
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("a number above 0 is needed".to_owned()),
    }
}

fn noise(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a deviation is a number from 0 to 1".to_owned()),
    }
}

fn budget(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(probes) if probes > 0 => Ok(probes),
        _ => Err("a budget is a whole number of at least 1".to_owned()),
    }
}

fn candidates(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 1 => Ok(count),
        _ => Err("a line has at least 2 candidates".to_owned()),
    }
}
