//! `e4 profile`: measures this board: what a bundle's segments cost at which clocks, or
//! how long its clocks take to change.

mod bar;
mod costs;

use super::complain;
use super::flags::{Settings, Subset};
use crate::clocks::guard::Report;
use crate::clocks::{
    ClockDomain, DomainKind, Guard, GuardError, GuardHandle, Inventory, Place, Tree, discover,
    recover,
};
use crate::pipeline::Stop;
use crate::profile::transitions::{DomainTransitions, measure};
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Settings of `e4 run` that a profile depends on.
#[derive(Clone, Debug)]
pub struct ProfileKeys;

impl Subset for ProfileKeys {
    const KEYS: &'static [&'static str] = &[
        "bundle.path",
        "engine.kind",
        "power.sensor",
        "power.board",
        "power.rails",
        "dvfs.deadline_ms",
        "dvfs.spread",
        "dvfs.budget",
    ];
}

/// Flags of `e4 profile`.
#[derive(Args, Clone, Debug)]
pub struct Profile {
    /// Measure, for each clock domain and direction, the time from a write until the
    /// new clock is in effect, and no costs.
    #[arg(long)]
    pub transitions: bool,
    /// Only this domain: cpu0, gpu, emc.
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,
    /// With --transitions: changes a direction and way of measuring.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub repeat: u16,
    /// Which clock points are measured: model: where the next reading is worth most by a
    /// model of the board; cd: coordinate descent; random; exhaustive: all of them.
    #[arg(long, value_name = "NAME", default_value = "model", value_parser = ["model", "cd", "random", "exhaustive"])]
    pub method: String,
    /// Seed of the method.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Write the cost table here, for `e4 plan --table`. FILE.progress beside it keeps
    /// what was measured until the table is whole: after a kill the same command goes
    /// on.
    #[arg(long, value_name = "FILE", conflicts_with = "transitions")]
    pub out: Option<PathBuf>,
    /// Windows of the power sensor for which a segment runs again and again, at least.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    pub windows: u32,
    /// Repeat that until its mean energy is known this well, as a share.
    #[arg(long, value_name = "SHARE", default_value_t = 0.03, value_parser = share)]
    pub precision: f64,
    /// Repeat it so often at most.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub repeats: u32,
    /// How long the clocks take to change, as --transitions --json has measured it.
    /// Unset: usual times, where the hardware does not show its clock.
    #[arg(long, value_name = "FILE")]
    pub transition_times: Option<PathBuf>,
    /// Where it stands meanwhile what the clocks were.
    #[arg(long, value_name = "DIR", default_value = "/run/e4")]
    pub runtime_dir: PathBuf,
    /// Root of the tree with the clocks.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub sysfs_root: PathBuf,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    settings: Settings<ProfileKeys>,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let fine = number.filter(|x| *x > 0.0 && *x <= 1.0);
    fine.ok_or_else(|| "must be a share above 0 and at most 1".to_owned())
}

const NAME: &str = "e4 profile";
/// A second signal that comes this much later ends at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error("no clock domain can be set here: {0}")]
    NoDomain(String),
    #[error("--domain {name}: there is no such clock domain; there are {known}")]
    Unknown { name: String, known: String },
    #[error("cannot catch signals: {0}")]
    Signals(#[from] ctrlc::Error),
}

impl ProfileError {
    fn code(&self) -> u8 {
        match self {
            Self::Unknown { .. } | Self::Guard(GuardError::RuntimeDir { .. }) => 2,
            _ => 1,
        }
    }
}

impl Profile {
    /// Measures; returns the exit code.
    #[must_use]
    pub fn run(&self) -> ExitCode {
        match self.transitions {
            true => self.run_transitions(),
            false => costs::run(self),
        }
    }

    fn run_transitions(&self) -> ExitCode {
        let found = match self.measure_transitions() {
            Ok(found) => found,
            Err(error) => {
                complain(NAME, &error);
                return ExitCode::from(error.code());
            }
        };
        let text = if self.json {
            let object = serde_json::json!({
                "schema": "e4.transitions/1",
                "domains": found,
            });
            format!("{object}\n")
        } else {
            table(&found)
        };
        match io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                complain(NAME, &format_args!("standard output: {error}"));
                ExitCode::FAILURE
            }
            _ if found.iter().all(is_measured) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    fn measure_transitions(&self) -> Result<Vec<DomainTransitions>, ProfileError> {
        let place = Place {
            runtime_dir: self.runtime_dir.clone(),
            tree: Tree::new(&self.sysfs_root),
        };
        say(&recover(&place.runtime_dir, Some(&place.tree))?);
        let mut domains = self.wanted(discover(&place.tree))?;
        let guard = Guard::claim(&place, &mut domains)?;
        let stop = Stop::new();
        end_on_signals(&stop, guard.handle())?;
        let mut found = Vec::with_capacity(domains.len());
        for domain in &mut domains {
            let core = core(&place.tree, domain.as_ref());
            let go_on = || !stop.is_raised();
            found.push(measure(domain.as_mut(), core, self.repeat.into(), &go_on));
        }
        say(&guard.give_back());
        Ok(found)
    }

    fn wanted(&self, found: Inventory) -> Result<Vec<Box<dyn ClockDomain>>, ProfileError> {
        let Inventory { domains, absent } = found;
        if domains.is_empty() {
            let reasons: Vec<String> = absent.into_iter().map(|absent| absent.reason).collect();
            return Err(ProfileError::NoDomain(reasons.join("; ")));
        }
        let Some(name) = &self.domain else {
            return Ok(domains);
        };
        let known: Vec<String> = domains.iter().map(|d| d.name().to_owned()).collect();
        let wanted: Vec<_> = domains.into_iter().filter(|d| d.name() == name).collect();
        if wanted.is_empty() {
            return Err(ProfileError::Unknown {
                name: name.clone(),
                known: known.join(", "),
            });
        }
        Ok(wanted)
    }
}

/// The first core of a CPU's policy.
fn core(tree: &Tree, domain: &dyn ClockDomain) -> Option<usize> {
    if domain.kind() != DomainKind::Cpu {
        return None;
    }
    let file = format!("{}/related_cpus", domain.folder());
    usize::try_from(tree.number(&file).ok()?).ok()
}

fn is_measured(found: &DomainTransitions) -> bool {
    found.distributions.iter().any(|d| d.n > 0)
}

fn say(reports: &[Report]) {
    for sentence in reports.iter().flat_map(Report::complaints) {
        complain(NAME, &sentence);
    }
}

/// The first signal ends the measurement and gives the clocks back; one that comes
/// a second later gives them back at once.
fn end_on_signals(stop: &Stop, guard: GuardHandle) -> Result<(), ctrlc::Error> {
    let stop = stop.clone();
    let mut first: Option<Instant> = None;
    ctrlc::set_handler(move || {
        if first.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
            say(&guard.give_back());
            std::process::exit(1);
        }
        stop.raise();
    })
}

fn table(found: &[DomainTransitions]) -> String {
    let mut text = format!(
        "{:<10} {:<4} {:<10} {:>9} {:>9} {:>9} {:>5} {:>6}\n",
        "domain", "way", "seen by", "p50 ms", "p90 ms", "max ms", "n", "missed"
    );
    for line in found.iter().flat_map(DomainTransitions::lines) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}
