//! A profile: a search method says where to measure, [`point`] measures,
//! until the budget is spent or the method is content.
//!
//! Guarantees: what is measured next depends on the settings and on what was measured
//! before alone, so that a profile that was killed goes on from its probes; clocks that
//! others hold down are left out from then on, and that is said; no more points are
//! measured than the budget allows. It knows time, clocks, engine and sensor only by
//! [`Rig`].

mod found;

pub use found::{Found, Weights};

use super::point::{self, Failure, Settings};
use super::progress::{Probe, Progress, ProgressError};
use super::rig::Rig;
use crate::plan::search::{Choice, Goal, Method, Observation, Search, Step};
use crate::plan::{ClockPoint, Space};

/// What to find out.
#[derive(Clone, Debug)]
pub struct Task {
    /// Where one may measure.
    pub space: Space,
    /// Who says where.
    pub method: Method,
    /// Latency cap and probes.
    pub goal: Goal,
    /// The method's seed.
    pub seed: u64,
    /// How closely to look.
    pub how: Settings,
    /// What a frame costs, by what its segments do.
    pub weights: Weights,
}

/// Why a profile did not come to its end. One sentence.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Clock, engine or sensor.
    #[error("{0}")]
    Broken(String),
    /// No clock is left to measure at.
    #[error("no clock point is left that {by} allows")]
    NothingAllowed {
        /// Who holds them down.
        by: String,
    },
    /// The progress cannot be kept.
    #[error(transparent)]
    Progress(#[from] ProgressError),
    /// Somebody wanted it to end.
    #[error("stopped after {done} points{hint}")]
    Stopped {
        /// Points measured.
        done: usize,
        /// How to go on.
        hint: &'static str,
    },
}

/// What happens, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// A point is being measured: its number, and where.
    Begins(usize, ClockPoint),
    /// It was measured.
    Measured(&'a Probe),
    /// Something that is to be said.
    Note(&'a str),
}

/// Measures until the method is content.
///
/// # Errors
/// When a part fails for good, or it was stopped.
pub fn run(
    rig: &mut dyn Rig,
    task: &Task,
    before: Vec<Probe>,
    progress: &mut Progress,
    watch: &mut dyn FnMut(Event<'_>),
) -> Result<Found, ProfileError> {
    let mut probes = before;
    let mut limit = ClockPoint::default();
    let mut notes: Vec<String> = Vec::new();
    let mut held_by = String::new();
    loop {
        let allowed = task.space.only(|p| p.is_within(limit));
        let by = || held_by.clone();
        let (_, space) = allowed.map_err(|_| ProfileError::NothingAllowed { by: by() })?;
        let history = observations(&space, &probes, &task.weights);
        let left = task.goal.budget.saturating_sub(probes.len());
        let goal = Goal {
            // Probes beyond the limits are spent, but not in this history.
            budget: history.len() + left,
            ..task.goal
        };
        let mut search = task.method.start(&space, goal, task.seed);
        let step = match left {
            0 => Step::Done,
            _ => search.next(&history),
        };
        let Step::Probe(at) = step else {
            let choice = chosen(search.as_mut(), &history, &space);
            return Ok(Found::new(probes, choice, notes));
        };
        let clocks = space.points()[at];
        watch(Event::Begins(probes.len() + 1, clocks));
        let began_ns = rig.now_ns();
        match point::measure(rig, clocks, &task.how) {
            Ok(measured) => {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
                let seconds = rig.now_ns().saturating_sub(began_ns) as f64 / 1e9;
                let probe = Probe::new(clocks, measured, seconds);
                progress.keep(&probe)?;
                watch(Event::Measured(&probe));
                probes.push(probe);
            }
            Err(Failure::Held { allowed, by }) => {
                let note = format!(
                    "{clocks} is held down by {by}: no more than {allowed} is measured from now on"
                );
                watch(Event::Note(&note));
                notes.push(note);
                limit = lower(limit, allowed, clocks);
                held_by = by;
            }
            Err(Failure::Broken(why)) => return Err(ProfileError::Broken(why)),
            Err(Failure::Stopped) => {
                return Err(ProfileError::Stopped {
                    done: probes.len(),
                    hint: "",
                });
            }
        }
    }
}

/// The lesser of two limits; where the new one would allow `point` all the same, it is
/// set below it, so that nothing is tried for ever.
fn lower(limit: ClockPoint, allowed: ClockPoint, point: ClockPoint) -> ClockPoint {
    let least = |a: u32, b: u32| match (a, b) {
        (0, b) => b,
        (a, 0) => a,
        (a, b) => a.min(b),
    };
    let pairs = limit.khz().into_iter().zip(allowed.khz());
    let both: Vec<u32> = pairs.map(|(a, b)| least(a, b)).collect();
    let mut khz = [both[0], both[1], both[2]];
    if point.is_within(ClockPoint::new(khz)) {
        let axis = (0..3)
            .rev()
            .find(|axis| point.khz()[*axis] > 0)
            .unwrap_or(0);
        khz[axis] = point.khz()[axis].saturating_sub(1).max(1);
    }
    ClockPoint::new(khz)
}

fn observations(space: &Space, probes: &[Probe], weights: &Weights) -> Vec<Observation> {
    let seen = probes.iter().filter_map(|probe| {
        let point = space.find(probe.point)?;
        let [latency_s, energy_j] = weights.frame(probe);
        Some(Observation {
            point,
            latency_s,
            energy_j,
        })
    });
    seen.collect()
}

fn chosen(
    search: &mut dyn Search,
    history: &[Observation],
    space: &Space,
) -> Option<(ClockPoint, Choice)> {
    let choice = search.choose(history)?;
    Some((space.points()[choice.point], choice))
}

#[cfg(test)]
mod tests;
