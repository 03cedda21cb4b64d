//! E4 as published (arXiv 2503.04865): before the run, coordinate descent (its
//! algorithm 1; E4-R: random search with as many probes) finds CPU and GPU clocks of
//! least energy for each segment; each exit point has its own sequence of clocks
//! under the deadline; in the run the clocks are switched at segment borders, to the
//! sequence of the likeliest exit, and deeper to that of the likeliest one left.
//!
//! What the paper counts is the energy of inference, not that of waiting. It sets no
//! memory clock: the governor has it, while segments are measured and in the run.
//! Changes take the time that they
//! take; a segment runs at whatever is in effect meanwhile.

use super::governors::Actmon;
use crate::board::SimBoard;
use crate::dvfs::{Event, EventKind};
use crate::plan::search::{self, Goal, Observation, Readings};
use crate::plan::space::SpaceError;
use crate::plan::{Axis, ClockPoint, Space};
use crate::sim::planned::PlannedError;
use crate::sim::scene::{Prepared, Scene};
use crate::sim::stream::Method;
use crate::sim::survey::{go_to, measure};

/// Most probes for a segment; coordinate descent ends by itself before.
const PROBES: usize = 28;

/// Sequences of clocks, followed.
#[derive(Debug)]
struct Switching {
    /// Which exit's sequence a segment is run by.
    followed: Vec<usize>,
    /// By exit, one a segment.
    sequences: Vec<Vec<ClockPoint>>,
    emc: Actmon,
}

impl Method for Switching {
    fn event(&mut self, event: Event, board: &mut SimBoard) {
        let EventKind::Started { segment, .. } = event.kind else {
            return;
        };
        let segment = usize::from(segment);
        let Some(&exit) = self.followed.get(segment) else {
            return;
        };
        let khz = self.sequences[exit][segment].khz();
        for axis in [Axis::Cpu, Axis::Gpu] {
            let levels = board.description().levels(axis);
            let level = levels.partition_point(|&level| level < khz[axis.index()]);
            if level != board.wish(axis) {
                board.set(axis, level);
            }
        }
    }

    fn poll(&mut self, _: u64, board: &mut SimBoard) -> u64 {
        self.emc.look(board);
        self.emc.next_ns
    }
}

/// Searches each segment's clocks.
///
/// # Errors
/// When the board cannot be measured.
pub fn prepare(
    scene: &Scene<'_>,
    board: &mut SimBoard,
    by: search::Method,
) -> Result<Prepared, PlannedError> {
    let space = space(scene)?;
    let mut emc = Actmon::default();
    let mut probes = 0;
    let mut measured = Vec::new();
    for segment in 0..scene.loads.len() {
        let goal = Goal {
            cap_s: None,
            budget: PROBES,
        };
        let mut search = by.start(&space, goal, scene.seed.wrapping_add(segment as u64));
        let (history, _) = search::run(&mut *search, |place| {
            go_to(board, space.points()[place]);
            let reading = measure(board, segment, |board| emc.look(board));
            let reading = reading.ok_or(PlannedError::Segment(segment))?;
            Ok::<_, PlannedError>(Observation {
                point: place,
                latency_s: reading.latency_s.mean,
                energy_j: reading.energy_j.mean,
            })
        })?;
        probes += u64::try_from(history.len()).unwrap_or(u64::MAX);
        measured.push(history);
    }
    let exits = 0..scene.loads.len();
    let method = Switching {
        followed: followed(&scene.exit_share()),
        sequences: exits
            .map(|exit| sequence(scene, &space, &measured[..=exit]))
            .collect(),
        emc,
    };
    Ok(Prepared {
        probes,
        ..Prepared::new(method)
    })
}

/// All clocks of CPU and GPU, the memory at its highest to begin with.
fn space(scene: &Scene<'_>) -> Result<Space, SpaceError> {
    let highest = scene.board.highest().emc_khz;
    let mut points = scene.board.points();
    points.retain(|point| point.emc_khz == highest);
    Space::new(points)
}

/// Clocks of least energy for the segments up to an exit, each within its share of
/// the deadline, by its time at the highest clocks.
fn sequence(scene: &Scene<'_>, space: &Space, measured: &[Vec<Observation>]) -> Vec<ClockPoint> {
    let fastest = |history: &Vec<Observation>| {
        let times = history.iter().map(|seen| seen.latency_s);
        times.fold(f64::INFINITY, f64::min)
    };
    let whole_s: f64 = measured.iter().map(fastest).sum();
    let deadline_s = scene.deadline_s();
    let best = |history: &Vec<Observation>| {
        let goal = Goal {
            cap_s: Some(deadline_s * fastest(history) / whole_s),
            budget: PROBES,
        };
        let choice = Readings::new(space, history).best(goal);
        space.points()[choice.map_or(space.top(), |choice| choice.point)]
    };
    measured.iter().map(best).collect()
}

/// For each segment the likeliest exit that is left, the shallowest of equals.
fn followed(share: &[f64]) -> Vec<usize> {
    let likeliest = |from: usize| {
        (from..share.len()).fold(from, |best, exit| match share[exit] > share[best] {
            true => exit,
            false => best,
        })
    };
    let mut exit = likeliest(0);
    let follow = |segment: usize| {
        if segment > exit {
            exit = likeliest(segment);
        }
        exit
    };
    (0..share.len()).map(follow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_goes_deeper_follows_the_likeliest_exit_left() {
        assert_eq!(followed(&[0.2, 0.5, 0.1, 0.2]), [1, 1, 3, 3]);
        assert_eq!(followed(&[0.5, 0.5]), [0, 1]);
    }
}
