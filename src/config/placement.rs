//! Which thread runs which stages, on which core and how it waits.
//!
//! With `auto`, a machine with a core for each thread gives each its own; with
//! two or three cores infer has one of its own and the other threads share
//! another; a single core runs all stages on one thread. A core that a stage is
//! given by number is left to it.

use super::layers::Problem;
use super::{Config, ConfigError, CoreChoice, Place, SchedClass, Stage, StageWait, Threads, Wait};

/// One thread of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadPlan {
    /// Its stages, in the frame's order.
    pub stages: Vec<Stage>,
    /// The core it is pinned to, if it is.
    pub core: Option<usize>,
    /// True when another thread of the pipeline runs, or may run, on its core.
    pub shared: bool,
    /// Scheduling class.
    pub class: SchedClass,
    /// Priority under fifo and rr.
    pub priority: u8,
    /// How it waits for a frame.
    pub wait: Wait,
}

/// Every thread of the pipeline, in the frame's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The threads; their stages are all four, each once.
    pub threads: Vec<ThreadPlan>,
}

impl Placement {
    /// Places the stages as `config` says on `cores`, the numbers of those this
    /// process may use.
    ///
    /// # Errors
    /// When stages of one thread are given different settings, a core is not
    /// there, or a thread would spin where it must not.
    pub fn resolve(config: &Config, cores: &[usize]) -> Result<Self, ConfigError> {
        place(config, cores).map_err(|problem| ConfigError::Setting {
            place: Place::Default {
                key: problem.key.into(),
            },
            reason: problem.reason,
        })
    }

    /// The thread that runs `stage`.
    #[must_use]
    pub fn thread_of(&self, stage: Stage) -> Option<&ThreadPlan> {
        self.threads.iter().find(|t| t.stages.contains(&stage))
    }
}

/// The placement of the default configuration on `cores`.
#[must_use]
pub fn default_placement(cores: &[usize]) -> Placement {
    let groups = groups(&Threads::Auto, cores);
    let choices = vec![CoreChoice::Auto; groups.len()];
    let placed = spread(&groups, &choices, cores);
    let plans = groups
        .into_iter()
        .zip(placed)
        .map(|(stages, core)| ThreadPlan {
            stages,
            core,
            shared: false,
            class: SchedClass::default(),
            priority: super::StageConfig::default().priority,
            wait: Wait::default(),
        });
    let mut threads: Vec<_> = plans.collect();
    mark_shared(&mut threads, cores.len());
    Placement { threads }
}

/// The names of one stage's keys.
pub(super) struct StageKeys {
    pub core: &'static str,
    pub class: &'static str,
    pub priority: &'static str,
    pub wait: &'static str,
}

macro_rules! stage_keys {
    ($stage:literal) => {
        StageKeys {
            core: concat!("stage.", $stage, ".core"),
            class: concat!("stage.", $stage, ".class"),
            priority: concat!("stage.", $stage, ".priority"),
            wait: concat!("stage.", $stage, ".wait"),
        }
    };
}

pub(super) fn keys_of(stage: Stage) -> StageKeys {
    match stage {
        Stage::Capture => stage_keys!("capture"),
        Stage::Infer => stage_keys!("infer"),
        Stage::Gate => stage_keys!("gate"),
        Stage::Sink => stage_keys!("sink"),
    }
}

pub(super) fn place(config: &Config, cores: &[usize]) -> Result<Placement, Problem> {
    let groups = groups(&config.pipeline.threads, cores);
    let mut choices = Vec::new();
    for group in &groups {
        let choice = common(group, |s| config.stage.get(s).core, |s| keys_of(s).core)?;
        choices.push(choice);
    }
    let mut threads = Vec::new();
    for (group, core) in groups.iter().zip(spread(&groups, &choices, cores)) {
        if let Some(missing) = core.filter(|core| !cores.contains(core)) {
            return Err(absent_core(config, group, missing, cores));
        }
        let default = super::StageConfig::default().priority;
        let wait = common(group, |s| config.stage.get(s).wait, |s| keys_of(s).wait)?;
        threads.push(ThreadPlan {
            stages: group.clone(),
            core,
            shared: false,
            class: common(group, |s| config.stage.get(s).class, |s| keys_of(s).class)?,
            priority: common_or(
                default,
                group,
                |s| config.stage.get(s).priority,
                |s| keys_of(s).priority,
            )?,
            wait: match wait {
                StageWait::Auto => config.pipeline.wait,
                StageWait::Hybrid => Wait::Hybrid,
                StageWait::Spin => Wait::Spin,
                StageWait::Park => Wait::Park,
            },
        });
    }
    mark_shared(&mut threads, cores.len());
    spinning(config, &threads)?;
    Ok(Placement { threads })
}

fn groups(threads: &Threads, cores: &[usize]) -> Vec<Vec<Stage>> {
    match threads {
        Threads::Groups(groups) => groups.clone(),
        Threads::Auto if cores.len() < 2 => vec![Stage::ALL.to_vec()],
        Threads::Auto => Stage::ALL.iter().map(|&stage| vec![stage]).collect(),
    }
}

/// The one value that the stages of a thread are given; the default is no value.
fn common<T: Default + PartialEq + Copy>(
    group: &[Stage],
    value: impl Fn(Stage) -> T,
    key: impl Fn(Stage) -> &'static str,
) -> Result<T, Problem> {
    common_or(T::default(), group, value, key)
}

fn common_or<T: PartialEq + Copy>(
    default: T,
    group: &[Stage],
    value: impl Fn(Stage) -> T,
    key: impl Fn(Stage) -> &'static str,
) -> Result<T, Problem> {
    let mut found: Option<(Stage, T)> = None;
    for &stage in group {
        let given = value(stage);
        match found {
            Some((first, other)) if given != default && given != other => {
                return Err(Problem {
                    key: key(stage),
                    reason: format!("differs from {}, which runs on the same thread", key(first)),
                });
            }
            None if given != default => found = Some((stage, given)),
            _ => {}
        }
    }
    Ok(found.map_or(default, |(_, value)| value))
}

/// A core for every thread; those that are given one by number keep it to
/// themselves as long as another is left.
fn spread(groups: &[Vec<Stage>], choices: &[CoreChoice], cores: &[usize]) -> Vec<Option<usize>> {
    let given = |choice: &CoreChoice| match *choice {
        CoreChoice::Core(core) => usize::try_from(core).ok(),
        CoreChoice::Auto | CoreChoice::Any => None,
    };
    let taken: Vec<usize> = choices.iter().filter_map(given).collect();
    let mut left: Vec<usize> = cores
        .iter()
        .copied()
        .filter(|c| !taken.contains(c))
        .collect();
    if left.is_empty() {
        left = cores.to_vec();
    }
    let waiting = choices.iter().filter(|&&c| c == CoreChoice::Auto).count();
    let mut next = left.iter().copied();
    let mut automatic = |group: &[Stage]| {
        if waiting <= left.len() {
            next.next()
        } else {
            let own = group.contains(&Stage::Infer) && left.len() > 1;
            left.get(usize::from(own)).copied()
        }
    };
    groups
        .iter()
        .zip(choices)
        .map(|(group, choice)| match choice {
            CoreChoice::Auto => automatic(group),
            CoreChoice::Any => None,
            CoreChoice::Core(_) => given(choice),
        })
        .collect()
}

fn mark_shared(threads: &mut [ThreadPlan], cores: usize) {
    let placed: Vec<_> = threads.iter().map(|thread| thread.core).collect();
    for (index, thread) in threads.iter_mut().enumerate() {
        thread.shared = match thread.core {
            Some(core) => placed
                .iter()
                .enumerate()
                .any(|(other, &at)| other != index && at == Some(core)),
            None => placed.len() > cores.max(1),
        };
    }
}

/// A thread that spins starves whoever shares its core, and under a real-time
/// class the kernel stops it for tens of milliseconds.
fn spinning(config: &Config, threads: &[ThreadPlan]) -> Result<(), Problem> {
    for (index, thread) in threads
        .iter()
        .enumerate()
        .filter(|(_, t)| t.wait == Wait::Spin)
    {
        let asked = thread
            .stages
            .iter()
            .find(|&&s| config.stage.get(s).wait == StageWait::Spin);
        let key = asked.map_or("pipeline.wait", |&stage| keys_of(stage).wait);
        let name = thread.stages.first().map_or("", |stage| stage.name());
        if thread.shared {
            let mate = threads
                .iter()
                .enumerate()
                .find(|(other, t)| {
                    *other != index && (thread.core.is_none() || t.core == thread.core)
                })
                .and_then(|(_, t)| t.stages.first())
                .map_or("another thread", |stage| stage.name());
            let reason = format!(
                "{name} would spin on a core that it shares with {mate}; use hybrid or park, or give each a core of its own"
            );
            return Err(Problem { key, reason });
        }
        if thread.class != SchedClass::Other {
            let reason = format!(
                "{name} would spin in class {}, which the kernel stalls for tens of milliseconds; use hybrid or park, or class other",
                thread.class.name()
            );
            return Err(Problem { key, reason });
        }
    }
    Ok(())
}

fn absent_core(config: &Config, group: &[Stage], core: usize, cores: &[usize]) -> Problem {
    let asked = group
        .iter()
        .copied()
        .find(|&stage| matches!(config.stage.get(stage).core, CoreChoice::Core(_)));
    let list: Vec<_> = cores.iter().map(ToString::to_string).collect();
    Problem {
        key: keys_of(asked.unwrap_or(Stage::Capture)).core,
        reason: format!(
            "core {core} is not among those that this process may use ({})",
            list.join(", ")
        ),
    }
}
