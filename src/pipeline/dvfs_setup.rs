//! Opens the clocks that a configuration asks for.
//!
//! Guarantees: a plan is checked against the bundle and the board's own tables, and
//! the clocks are guarded, before anything runs. Nothing is written here.

use super::auto::{Auto, Tapped};
use super::placement::Placement;
use super::{Dvfs, DvfsTask, OnError, Stage};
use crate::clocks::{DomainKind, Guard, GuardError, Inventory, Place, Tree, discover_within};
use crate::config::{Class, Config, DvfsMode};
use crate::dvfs::{AXES, Clocks, Leads, PlanError, StagePlan, tables};
use crate::engine::bundle::Bundle;
use crate::plan::changes::{self, Changes};
use crate::plan::cost::Head;
use crate::plan::file::{PlanFile, PlanFileError};
use crate::plan::{Axis, ClockPoint, Space};
use crate::power::{EnergyTap, Root, detect};
use crate::profile::live::{Explorer, Setup};
use crate::rt::{SchedClass, ThreadSetup, priority};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long drivers that come late are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the clocks cannot be followed as asked. One sentence.
#[derive(Debug, thiserror::Error)]
pub enum DvfsError {
    /// The plan cannot be read.
    #[error("--plan {0}")]
    File(#[from] PlanFileError),
    /// The plan is for something else.
    #[error("--plan {path}: {source}", path = path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: PlanError,
    },
    /// The measured transitions cannot be used.
    #[error("--transitions {path}: {reason}", path = path.display())]
    Transitions {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The board lacks what is asked for.
    #[error("--dvfs {mode}: {reason}")]
    Missing {
        /// The mode.
        mode: &'static str,
        /// What is missing.
        reason: String,
    },
    /// Nothing measures what frames cost.
    #[error(
        "--dvfs auto needs a power sensor, and this run has none (--power-sensor; e4 doctor lists them)"
    )]
    NoSensor,
    /// The clocks cannot be held.
    #[error(transparent)]
    Guard(#[from] GuardError),
}

impl DvfsError {
    /// Whether it is the host that says no, not what was given.
    #[must_use]
    pub fn is_of_host(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Guard(_) | Self::NoSensor)
    }

    /// Whether a run may go on without clocks where that was not asked to be strict.
    /// Clocks that another e4 holds, or that a killed one has left, are a refusal.
    fn may_go_on(&self) -> bool {
        match self {
            Self::Guard(error) => !matches!(
                error,
                GuardError::Busy { .. } | GuardError::Stale { .. } | GuardError::Damaged { .. }
            ),
            // Asked for energy, it is not to do without.
            Self::NoSensor => false,
            other => other.is_of_host(),
        }
    }
}

/// The clocks that `config` asks for, with sentences for the user.
///
/// # Errors
/// When the plan is refused, the clocks are another's, or under strict anything is
/// missing.
pub(super) fn open(
    config: &Config,
    placement: &Placement,
    bundle: &Bundle,
    taps: Option<Taps>,
) -> Result<(Option<Dvfs>, Vec<String>), DvfsError> {
    let mut notices = Vec::new();
    let opened = match config.dvfs.mode {
        DvfsMode::Off => return Ok((None, notices)),
        DvfsMode::Observe => observe(config),
        DvfsMode::Plan => plan(config, bundle, &mut notices),
        DvfsMode::Auto => auto(config, bundle, taps, &mut notices),
    };
    let strict = config.pipeline.on_error == OnError::Strict;
    match opened {
        Ok(dvfs) => {
            let setup = thread(config, placement);
            let dvfs = dvfs.thread(setup, config.pipeline.on_error);
            Ok((Some(dvfs), notices))
        }
        Err(error) if error.may_go_on() && !strict => {
            notices.push(format!("{error}; the run goes on without"));
            Ok((None, notices))
        }
        Err(error) => Err(error),
    }
}

/// The dvfs thread is never on infer's core where there is another.
fn thread(config: &Config, placement: &Placement) -> ThreadSetup {
    let class = match config.rt.class {
        Class::Other => SchedClass::Other,
        Class::Fifo => SchedClass::Fifo(priority::DVFS),
        Class::Rr => SchedClass::RoundRobin(priority::DVFS),
    };
    ThreadSetup {
        core: placement.thread_of(Stage::Sink).core,
        class,
        timer_slack_ns: config.rt.timer_slack_ns,
    }
}

fn observe(config: &Config) -> Result<Dvfs, DvfsError> {
    let clocks = watched(config)?;
    Ok(Dvfs::new(Box::new(clocks), DvfsTask::Observe, None))
}

fn watched(config: &Config) -> Result<Clocks, DvfsError> {
    let found = discover_within(&tree(config), &[], Duration::ZERO);
    if found.domains.is_empty() {
        return Err(missing("observe", &found, None));
    }
    Ok(Clocks::new(found.domains))
}

/// A plan that fits, with the clocks that it sets; nothing is claimed yet.
struct Planned {
    clocks: Clocks,
    plan: StagePlan,
    leads: Leads,
    /// Domains that are there and cannot be used.
    left_out: u64,
}

/// Whether a run as `config` says could follow its clocks here: what it would be
/// refused for, or the sentences that it would begin with. Takes and writes nothing.
///
/// # Errors
/// Those of a run.
pub fn examine(config: &Config, bundle: &Bundle) -> Result<Vec<String>, DvfsError> {
    let mut notices = Vec::new();
    let found = match config.dvfs.mode {
        DvfsMode::Off => Ok(()),
        DvfsMode::Observe => watched(config).map(|_| ()),
        DvfsMode::Plan => planned(config, bundle, Duration::ZERO, &mut notices).map(|_| ()),
        DvfsMode::Auto => Ok(()),
    };
    match found {
        Err(error) if error.may_go_on() && config.pipeline.on_error != OnError::Strict => {
            notices.push(format!("{error}; the run goes on without"));
        }
        found => found?,
    }
    Ok(notices)
}

fn planned(
    config: &Config,
    bundle: &Bundle,
    patience: Duration,
    notices: &mut Vec<String>,
) -> Result<Planned, DvfsError> {
    let path = config.dvfs.plan.as_deref().unwrap_or(Path::new(""));
    let refused = |source| DvfsError::Plan {
        path: path.to_owned(),
        source,
    };
    let file = PlanFile::read(path)?;
    fits_board(config, &file).map_err(refused)?;
    let leads = leads(config)?;
    let wanted = kinds(&file);
    let mut found = discover_within(&tree(config), &wanted, patience);
    found.keep_savable();
    let left_out = lacks(config, &found, &wanted, notices)?;
    let clocks = Clocks::new(found.domains);
    for name in clocks.left_alone() {
        notices.push(format!(
            "the clocks of {name} differ from those of the first of their kind and are left alone"
        ));
    }
    let segments = bundle.manifest().segments.len();
    let plan = StagePlan::new(&file, bundle.digest(), segments, &tables(&clocks));
    let plan = plan.map_err(refused)?;
    Ok(Planned {
        clocks: clocks.only(plan.axes()),
        plan,
        leads,
        left_out,
    })
}

/// A plan is for one board, where it is known which one this is.
fn fits_board(config: &Config, file: &PlanFile) -> Result<(), PlanError> {
    let named = config.power.board.map(|board| board.0);
    let detected = || detect(&Root::new(&config.clocks.sysfs_root));
    let here = named.or_else(|| detected().map(|board| board.name.as_str()));
    match here {
        Some(here) if here != file.board => Err(PlanError::Board {
            found: file.board.clone(),
            expected: here.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Says what is missing of the `wanted` clocks; returns how many domains are there
/// and cannot be used.
fn lacks(
    config: &Config,
    found: &Inventory,
    wanted: &[DomainKind],
    notices: &mut Vec<String>,
) -> Result<u64, DvfsError> {
    let strict = config.pipeline.on_error == OnError::Strict;
    let lacks = |kind: &&DomainKind| found.find_kind(**kind).is_none();
    if let Some(&kind) = wanted.iter().find(lacks) {
        let error = missing("plan", found, Some(kind));
        if strict || wanted.iter().all(|kind| lacks(&kind)) {
            return Err(error);
        }
    }
    let mut left_out = 0;
    for absent in found.absent.iter().filter(|a| wanted.contains(&a.kind)) {
        let error = DvfsError::Missing {
            mode: "plan",
            reason: absent.reason.clone(),
        };
        if strict {
            return Err(error);
        }
        left_out += u64::from(absent.broken);
        notices.push(format!("{error}; that clock is left alone"));
    }
    Ok(left_out)
}

fn plan(config: &Config, bundle: &Bundle, notices: &mut Vec<String>) -> Result<Dvfs, DvfsError> {
    let Planned {
        mut clocks,
        plan,
        leads,
        left_out,
    } = planned(config, bundle, PATIENCE, notices)?;
    let place = Place {
        runtime_dir: config.clocks.runtime_dir.clone(),
        tree: tree(config),
    };
    let guard = clocks.guarded(|domains| Guard::claim(&place, domains))?;
    let task = DvfsTask::Plan(Box::new(plan), Box::new(leads));
    let dvfs = Dvfs::new(Box::new(clocks), task, Some(guard));
    dvfs.counters().refused.more(left_out);
    Ok(dvfs)
}

/// What `auto` learns from: frames, energy, and what the energy is of.
#[derive(Debug)]
pub(super) struct Taps {
    pub frames: Tapped,
    pub energy: Option<EnergyTap>,
    pub boundary: String,
}

fn auto(
    config: &Config,
    bundle: &Bundle,
    taps: Option<Taps>,
    notices: &mut Vec<String>,
) -> Result<Dvfs, DvfsError> {
    let (frames, energy, boundary) = match taps {
        Some(Taps {
            frames,
            energy: Some(energy),
            boundary,
        }) => (frames, energy, boundary),
        _ => return Err(DvfsError::NoSensor),
    };
    let leads = leads(config)?;
    let mut found = discover_within(&tree(config), &[], Duration::ZERO);
    found.keep_savable();
    if found.domains.is_empty() {
        return Err(missing("auto", &found, None));
    }
    for absent in found.absent.iter().filter(|absent| absent.broken) {
        notices.push(format!("{}; that clock is left alone", absent.reason));
    }
    let mut clocks = Clocks::new(found.domains);
    for name in clocks.left_alone() {
        notices.push(format!(
            "the clocks of {name} differ from those of the first of their kind and are left alone"
        ));
    }
    let place = Place {
        runtime_dir: config.clocks.runtime_dir.clone(),
        tree: tree(config),
    };
    let tables = tables(&clocks);
    let explorer = Explorer::new(explorer(config, bundle, &tables, boundary)?);
    let segments = bundle.manifest().segments.len();
    let first = StagePlan::new(&explorer.first(), bundle.digest(), segments, &tables);
    let first = first.map_err(|source| DvfsError::Plan {
        path: PathBuf::from("auto"),
        source,
    })?;
    let guard = clocks.guarded(|domains| Guard::claim(&place, domains))?;
    let task = DvfsTask::Auto(Box::new(first), Box::new(leads));
    Ok(
        Dvfs::new(Box::new(clocks), task, Some(guard)).exploring(Auto {
            explorer,
            frames,
            energy,
            digest: bundle.digest().to_owned(),
            segments,
            tables,
        }),
    )
}

fn explorer(
    config: &Config,
    bundle: &Bundle,
    tables: &[Vec<u32>; AXES],
    boundary: String,
) -> Result<Setup, DvfsError> {
    let space = Space::new(ClockPoint::grid(tables)).map_err(|error| DvfsError::Missing {
        mode: "auto",
        reason: error.to_string(),
    })?;
    let mut changes = Changes::default();
    if let Some(path) = &config.dvfs.transitions {
        let wrong = |reason: String| DvfsError::Transitions {
            path: path.clone(),
            reason,
        };
        let text = changes::text(path).map_err(wrong)?;
        changes.take(&changes::read(&text).map_err(wrong)?);
    }
    let manifest = bundle.manifest();
    let work = manifest.segments.iter().zip(&manifest.exits);
    #[expect(clippy::cast_precision_loss, reason = "a guess at a time")]
    let macs = work.map(|(s, e)| (s.macs + e.head_macs) as f64).collect();
    Ok(Setup {
        space,
        macs,
        objective: config.dvfs.objective,
        deadline_s: config.dvfs.deadline_ms.map(|ms| ms / 1e3),
        power_cap_w: config.dvfs.power_cap_w,
        spreads: config.dvfs.spread,
        budget: usize::try_from(config.dvfs.budget).unwrap_or(usize::MAX),
        changes,
        head: Head {
            board: config
                .power
                .board
                .as_ref()
                .map_or_else(String::new, |board| board.0.to_owned()),
            boundary,
            bundle: manifest.name.clone(),
            bundle_sha256: bundle.digest().to_owned(),
            ..Head::default()
        },
    })
}

fn tree(config: &Config) -> Tree {
    Tree::new(&config.clocks.sysfs_root)
}

fn leads(config: &Config) -> Result<Leads, DvfsError> {
    let mut leads = Leads::default();
    let Some(path) = &config.dvfs.transitions else {
        return Ok(leads);
    };
    let wrong = |reason: String| DvfsError::Transitions {
        path: path.clone(),
        reason,
    };
    let text = changes::text(path).map_err(wrong)?;
    leads.read(&text).map_err(wrong)?;
    Ok(leads)
}

/// The kinds of domains that a plan sets.
fn kinds(file: &PlanFile) -> Vec<DomainKind> {
    const KINDS: [DomainKind; AXES] = [DomainKind::Cpu, DomainKind::Gpu, DomainKind::Emc];
    let first = file.beliefs.first().and_then(|b| b.segments.first());
    let khz = first.map_or([0; AXES], |point| point.point().khz());
    let wanted = Axis::ALL.into_iter().filter(|axis| khz[axis.index()] > 0);
    wanted.map(|axis| KINDS[axis.index()]).collect()
}

/// Why there is no domain of `kind`, or none at all.
fn missing(mode: &'static str, found: &Inventory, kind: Option<DomainKind>) -> DvfsError {
    let reasons = found.absent.iter();
    let reasons = reasons.filter(|absent| kind.is_none_or(|kind| absent.kind == kind));
    let reasons: Vec<&str> = reasons.map(|absent| absent.reason.as_str()).collect();
    DvfsError::Missing {
        mode,
        reason: reasons.join("; "),
    }
}
