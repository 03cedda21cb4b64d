//! What the segments of a bundle cost at which clocks: `e4 profile` without
//! `--transitions`.

use super::bar::Bar;
use super::{NAME, Profile, end_on_signals, say};
use crate::board;
use crate::cli::complain;
use crate::cli::plan::show;
use crate::clocks::{Guard, GuardError, Inventory, Place, Tree, discover, recover};
use crate::config::{Config, ConfigError};
use crate::dvfs::{Clocks, Leads, tables};
use crate::engine::EngineError;
use crate::engine::bundle::{Bundle, BundleError};
use crate::gates::{ExitPolicy, Gates, GatesError};
use crate::pipeline::{self, SetupError, Stop};
use crate::plan::cost::{CostError, Head};
use crate::plan::search::{Goal, Method};
use crate::plan::{ClockPoint, Space, changes};
use crate::power::{Choice, PowerError, Root, Sampler, select};
use crate::profile::point::Settings;
use crate::profile::progress::{Progress, ProgressError};
use crate::profile::real::RealRig;
use crate::profile::session::{self, Event, Found, ProfileError, Task, Weights};
use crate::rt::{ThreadSetup, usable_cores};
use serde_json::{Map, Value, json};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Why there is no cost table. One sentence.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("--bundle {0}")]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Gates(#[from] GatesError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("a profile needs a power sensor: {0}")]
    Power(#[from] PowerError),
    #[error(transparent)]
    Guard(#[from] GuardError),
    #[error("--transition-times {path}: {reason}", path = path.display())]
    Transitions { path: PathBuf, reason: String },
    #[error(transparent)]
    Domains(#[from] super::ProfileError),
    #[error("the clocks of this board are no clock points: {0}")]
    Space(#[from] crate::plan::space::SpaceError),
    #[error("--out {0}")]
    Progress(#[from] ProgressError),
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error("{0}, the same command goes on where it was")]
    Stopped(ProfileError),
    #[error("what was measured is no cost table: {0}")]
    Table(String),
    #[error("--out {0}")]
    Out(CostError),
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl Error {
    fn code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Setup(_)
            | Self::Bundle(_)
            | Self::Gates(_)
            | Self::Power(_)
            | Self::Transitions { .. }
            | Self::Progress(_)
            | Self::Guard(GuardError::RuntimeDir { .. })
            | Self::Domains(super::ProfileError::Unknown { .. }) => 2,
            _ => 1,
        }
    }
}

/// Measures; returns the exit code.
pub(super) fn run(flags: &Profile) -> ExitCode {
    match profile(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(NAME, &error);
            ExitCode::from(error.code())
        }
    }
}

/// What is measured with what.
struct Parts {
    rig: RealRig,
    guard: Guard,
    task: Task,
    head: Head,
    settings: Map<String, Value>,
}

fn profile(flags: &Profile) -> Result<(), Error> {
    let config = flags.settings.config()?;
    let place = Place {
        runtime_dir: flags.runtime_dir.clone(),
        tree: Tree::new(&flags.sysfs_root),
    };
    say(&recover(&place.runtime_dir, Some(&place.tree))?);
    let stop = Stop::new();
    let parts = prepare(flags, &config, &place, &stop)?;
    let Parts {
        mut rig,
        guard,
        task,
        head,
        settings,
    } = parts;
    end_on_signals(&stop, guard.handle()).map_err(super::ProfileError::Signals)?;
    let segments = task.weights.reach.len();
    let out = flags.out.as_deref().map(Progress::beside);
    let (mut progress, before) = match out {
        Some(path) => Progress::open(path, &settings, segments)?,
        None => (Progress::default(), Vec::new()),
    };
    if !before.is_empty() {
        complain(NAME, &format_args!("goes on after {} points", before.len()));
    }
    let bar = Bar::new(task.goal.budget, before.len());
    let mut watch = |event: Event<'_>| match event {
        Event::Begins(number, point) => bar.at(number, &point),
        Event::Measured(_) => {}
        Event::Note(note) => {
            bar.clear();
            complain(NAME, &note);
        }
    };
    let resumed = before.len();
    let done = session::run(&mut rig, &task, before, &mut progress, &mut watch);
    bar.clear();
    drop(rig);
    say(&guard.give_back());
    let found = done.map_err(|error| match error {
        ProfileError::Stopped { .. } if flags.out.is_some() => Error::Stopped(error),
        error => Error::Profile(error),
    })?;
    finish(flags, &found, &task, head, resumed)?;
    progress.done().map_err(Error::Progress)
}

fn prepare(flags: &Profile, config: &Config, place: &Place, stop: &Stop) -> Result<Parts, Error> {
    let bundle = Bundle::open(pipeline::bundle_path(config)?)?;
    let gates = Gates::open(&bundle, ExitPolicy::Gates)?;
    let sensor = sensor(flags, config)?;
    let leads = leads(flags)?;
    let Inventory { domains, absent } = discover(&place.tree);
    let domains = flags.wanted(Inventory { domains, absent })?;
    let mut clocks = Clocks::new(domains);
    for name in clocks.left_alone() {
        complain(
            NAME,
            &format_args!(
                "the clocks of {name} differ from those of the first of their kind and are left alone"
            ),
        );
    }
    let points = ClockPoint::grid(&tables(&clocks));
    let guard = clocks.guarded(|domains| Guard::claim(place, domains))?;
    let sampler = Sampler::start(sensor)?;
    let facts = sampler.facts().clone();
    let (engine, notices) = pipeline::engine(config.engine.kind, &bundle)?;
    notices.iter().for_each(|notice| complain(NAME, notice));
    pin();
    let rig = RealRig::new(
        clocks,
        leads,
        (engine.as_ref(), &bundle, gates),
        sampler,
        stop.clone(),
    )?;
    let rates: Vec<f64> = bundle
        .manifest()
        .exits
        .iter()
        .map(|e| f64::from(e.rate))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
    let interval_s = bundle.manifest().frame_interval_ns as f64 / 1e9;
    let deadline_s = config.dvfs.deadline_ms.map(|ms| ms / 1e3);
    let method = Method::of(&flags.method).unwrap_or(Method::Model);
    let space = Space::new(points)?;
    let task = Task {
        goal: Goal {
            cap_s: deadline_s,
            budget: match method {
                Method::Exhaustive => space.len(),
                _ => usize::try_from(config.dvfs.budget).unwrap_or(usize::MAX),
            },
        },
        space,
        method,
        seed: flags.seed,
        how: Settings {
            windows: flags.windows,
            precision: flags.precision,
            repeats: flags.repeats,
            ..Settings::default()
        },
        weights: Weights::new(&rates, deadline_s.unwrap_or(interval_s), config.dvfs.spread),
    };
    let board = match &config.power.board {
        Some(board) => board.0.to_owned(),
        None => detected(flags),
    };
    let head = Head {
        board,
        boundary: facts.boundary.to_string(),
        bundle: bundle.manifest().name.clone(),
        bundle_sha256: bundle.digest().to_owned(),
        ..Head::default()
    };
    let settings = described(&task, &head, &facts.sensor, engine.name());
    Ok(Parts {
        rig,
        guard,
        task,
        head,
        settings,
    })
}

/// Infer's core, where there is more than one: the last.
fn pin() {
    let cores = usable_cores();
    let setup = ThreadSetup {
        core: cores.last().copied().filter(|_| cores.len() > 1),
        ..ThreadSetup::default()
    };
    if let Err(error) = setup.apply() {
        complain(NAME, &error);
    }
}

fn sensor(flags: &Profile, config: &Config) -> Result<Box<dyn crate::power::PowerSensor>, Error> {
    let mut wish = pipeline::power_wish(config);
    if matches!(wish.choice, Choice::Auto | Choice::None) {
        wish.choice = Choice::Any;
    }
    let selected = select(&Root::new(&flags.sysfs_root), &wish)?;
    selected
        .notices
        .iter()
        .for_each(|notice| complain(NAME, notice));
    selected.sensor.ok_or_else(|| {
        Error::Power(PowerError::NoSensor {
            wanted: "any",
            there: String::new(),
        })
    })
}

fn leads(flags: &Profile) -> Result<Leads, Error> {
    let mut leads = Leads::default();
    if let Some(path) = &flags.transition_times {
        let wrong = |reason: String| Error::Transitions {
            path: path.clone(),
            reason,
        };
        let text = changes::text(path).map_err(wrong)?;
        leads.read(&text).map_err(wrong)?;
    }
    Ok(leads)
}

/// The board by its device tree; empty where it is none that is known.
fn detected(flags: &Profile) -> String {
    let folder = flags.sysfs_root.join("proc/device-tree");
    let text = |file: &str| std::fs::read(folder.join(file)).unwrap_or_default();
    let (compatible, model) = (text("compatible"), text("model"));
    let board = board::detect(
        &String::from_utf8_lossy(&compatible),
        &String::from_utf8_lossy(&model),
    );
    board.map(|board| board.name.clone()).unwrap_or_default()
}

/// What has to be the same for a profile to go on.
fn described(task: &Task, head: &Head, sensor: &str, engine: &str) -> Map<String, Value> {
    let clocks = crate::plan::Axis::ALL.map(|axis| task.space.levels(axis).to_vec());
    let object = json!({
        "bundle_sha256": head.bundle_sha256,
        "board": head.board,
        "boundary": head.boundary,
        "sensor": sensor,
        "engine": engine,
        "clocks": clocks,
        "method": task.method.name(),
        "seed": task.seed,
        "budget": task.goal.budget,
        "deadline_ms": task.goal.cap_s.map(|s| s * 1e3),
        "spread": task.weights.spreads,
        "windows": task.how.windows,
        "precision": task.how.precision,
        "repeats": task.how.repeats,
    });
    object.as_object().cloned().unwrap_or_default()
}

fn finish(
    flags: &Profile,
    found: &Found,
    task: &Task,
    head: Head,
    resumed: usize,
) -> Result<(), Error> {
    let table = found.table(head).map_err(Error::Table)?;
    if let Some(file) = &flags.out {
        table.write(file).map_err(Error::Out)?;
    }
    let text = match flags.json {
        true => format!("{}\n", object(found, task, resumed)),
        false => {
            found.notes.iter().for_each(|note| complain(NAME, note));
            format!("{}{}", show::text(&table), words(found, task))
        }
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).map_err(Error::Output)
}

fn object(found: &Found, task: &Task, resumed: usize) -> Value {
    let probes = found.probes.iter().map(|probe| {
        let [latency_s, energy_j] = task.weights.frame(probe);
        json!({
            "point": probe.point,
            "latency_ms": latency_s * 1e3,
            "energy_mj": energy_j * 1e3,
            "seconds": probe.seconds,
        })
    });
    json!({
        "schema": "e4.profile/1",
        "method": task.method.name(),
        "budget": task.goal.budget,
        "probes": found.probes.len(),
        "resumed": resumed,
        "choice": found.choice.map(|(point, _)| point),
        "cap_kept": found.choice.map(|(_, choice)| choice.keeps_cap),
        "latency_ms": found.choice.map(|(_, choice)| choice.latency_s * 1e3),
        "energy_mj": found.choice.map(|(_, choice)| choice.energy_j * 1e3),
        "seconds": found.probes.iter().map(|p| p.seconds).sum::<f64>(),
        "joules": found.probes.iter().map(|p| p.spent_j).sum::<f64>(),
        "points": probes.collect::<Vec<_>>(),
        "notes": found.notes,
    })
}

fn words(found: &Found, task: &Task) -> String {
    let seconds: f64 = found.probes.iter().map(|p| p.seconds).sum();
    let joules: f64 = found.probes.iter().map(|p| p.spent_j).sum();
    let answer = found.choice.map_or_else(String::new, |(point, choice)| {
        format!(
            "least energy a frame: {point}, {:.3} mJ with the wait until the next, {:.3} ms at the last exit{}; ",
            choice.energy_j * 1e3,
            choice.latency_s * 1e3,
            if choice.keeps_cap { "" } else { ", which is beyond the deadline" },
        )
    });
    format!(
        "{answer}{} probes of at most {} took {seconds:.1} s and {joules:.1} J\n",
        found.probes.len(),
        task.goal.budget,
    )
}
