//! Which thread runs which stages, on which core and how it waits.
//!
//! With `auto`, a machine with a core for each thread gives each its own; with
//! two or three cores infer has one of its own and the other threads share
//! another; a single core runs all stages on one thread. A core that a stage is
//! given by number is left to it.

use super::layers::Problem;
use super::{Class, Config, CoreChoice, Threads};
use crate::pipeline::{Placement, Stage, ThreadPlan};
use crate::rt::{SchedClass, priority};

/// The placement of the default configuration on `cores`.
#[must_use]
pub fn default_placement(cores: &[usize]) -> Placement {
    // Nothing in the defaults can be refused; one thread would do in any case.
    place(&Config::default(), cores).unwrap_or_else(|_| Placement::fused())
}

/// The names of one stage's keys.
pub(super) struct StageKeys {
    pub core: &'static str,
    pub class: &'static str,
    pub priority: &'static str,
    pub wait: &'static str,
    pub on_error: &'static str,
}

macro_rules! stage_keys {
    ($stage:literal) => {
        StageKeys {
            core: concat!("stage.", $stage, ".core"),
            class: concat!("stage.", $stage, ".class"),
            priority: concat!("stage.", $stage, ".priority"),
            wait: concat!("stage.", $stage, ".wait"),
            on_error: concat!("stage.", $stage, ".on_error"),
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
        threads.push(ThreadPlan {
            stages: group.clone(),
            core,
            class: class(config, group)?,
            wait: common(group, |s| config.stage.get(s).wait, |s| keys_of(s).wait)?
                .unwrap_or(config.pipeline.wait),
            on_error: common(
                group,
                |s| config.stage.get(s).on_error,
                |s| keys_of(s).on_error,
            )?,
        });
    }
    let placement = Placement::new(threads).map_err(|error| Problem {
        key: "pipeline.threads",
        reason: error.to_string(),
    })?;
    spinning(config, &placement)?;
    Ok(placement)
}

fn class(config: &Config, group: &[Stage]) -> Result<SchedClass, Problem> {
    let class = common(group, |s| config.stage.get(s).class, |s| keys_of(s).class)?;
    let priority = |s| config.stage.get(s).priority;
    let priority = common(group, priority, |s| keys_of(s).priority)?;
    let priority = priority.unwrap_or_else(|| default_priority(group));
    Ok(match class.unwrap_or(config.rt.class) {
        Class::Other => SchedClass::Other,
        Class::Fifo => SchedClass::Fifo(priority),
        Class::Rr => SchedClass::RoundRobin(priority),
    })
}

/// That of the most urgent of the stages.
fn default_priority(group: &[Stage]) -> u8 {
    let of = |stage: &Stage| match stage {
        Stage::Capture => priority::CAPTURE,
        Stage::Infer => priority::INFER,
        Stage::Gate => priority::GATE,
        Stage::Sink => priority::SINK,
    };
    group.iter().map(of).max().unwrap_or(priority::INFER)
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
    let default = T::default();
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
        // Infer's core is the last to be shared.
        let of_infer = groups.iter().position(|g| g.contains(&Stage::Infer));
        let infer = of_infer.and_then(|index| given(&choices[index]));
        left = cores.to_vec();
        left.retain(|&core| cores.len() == 1 || Some(core) != infer);
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

/// A thread that spins starves whoever shares its core, and under a real-time
/// class the kernel stops it for tens of milliseconds.
fn spinning(config: &Config, placement: &Placement) -> Result<(), Problem> {
    let spins = |thread: &&ThreadPlan| !thread.wait.allowed_on_shared_core();
    for thread in placement.threads().iter().filter(spins) {
        let Some(&stage) = thread.stages.first() else {
            continue;
        };
        let reason = if placement.shares_core(stage) {
            "on a core that it shares with another; use hybrid or park, or give each thread a core of its own"
        } else if thread.class != SchedClass::Other {
            "in a real-time class, which the kernel stalls for tens of milliseconds; use hybrid or park, or class other"
        } else {
            continue;
        };
        let mut stages = thread.stages.iter();
        let asked = stages.find(|&&stage| config.stage.get(stage).wait.is_some());
        return Err(Problem {
            key: asked.map_or("pipeline.wait", |&stage| keys_of(stage).wait),
            reason: format!("the {stage} thread would spin {reason}"),
        });
    }
    Ok(())
}

fn absent_core(config: &Config, group: &[Stage], core: usize, cores: &[usize]) -> Problem {
    let asked = group
        .iter()
        .copied()
        .find(|&stage| matches!(config.stage.get(stage).core, CoreChoice::Core(_)));
    let mut cores = cores.to_vec();
    cores.sort_unstable();
    let list: Vec<_> = cores.iter().map(ToString::to_string).collect();
    Problem {
        key: keys_of(asked.unwrap_or(Stage::Capture)).core,
        reason: format!(
            "core {core} is not among those that this process may use ({})",
            list.join(", ")
        ),
    }
}
