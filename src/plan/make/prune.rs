//! Which clock points are planned with: all of them up to [`MOST`], else those that
//! hold every deadline's best single point, and those that are best for a segment.

use super::table::Gathered;
use super::{Ask, MakeError};
use crate::plan::planner::{Demand, Schedule, evaluate};

/// Points that are planned with at most.
pub const MOST: usize = 64;

/// How a second is weighed against a joule to find the points that are best for a
/// segment: steps of a factor.
const WEIGHTS: [f64; 9] = [0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 1e6];

/// Places of the points, rising.
pub(super) fn candidates(
    all: &Gathered,
    ask: &Ask,
    demands: &[Demand],
) -> Result<Vec<usize>, MakeError> {
    let count = all.points.len();
    if count <= MOST {
        return Ok((0..count).collect());
    }
    let mut kept = Kept::default();
    kept.add(least(count, |p| all.idle_w[p]));
    kept.add(least(count, |p| all.longest_s(p, ask.power_cap_w)));
    for demand in demands {
        let front = front(all, ask, demand)?;
        // What keeps this very deadline comes first, then the whole front, thinned
        // evenly where even that is too long.
        let in_time = front.iter().rev().find(|(s, _)| *s <= ask.deadline_s);
        in_time.into_iter().for_each(|(_, p)| kept.add(*p));
        let room = (MOST - kept.0.len()) / demands.len().max(1);
        let step = front.len().div_ceil(room.max(1)).max(1);
        front.iter().step_by(step).for_each(|(_, p)| kept.add(*p));
    }
    for weight in WEIGHTS {
        for k in 0..all.segments {
            let row = k * count..(k + 1) * count;
            let (time, energy) = (&all.latency_s[row.clone()], &all.energy_j[row]);
            let watts = energy.iter().sum::<f64>() / time.iter().sum::<f64>();
            kept.add(least(count, |p| energy[p] + weight * watts * time[p]));
        }
    }
    let mut kept = kept.0;
    kept.sort_unstable();
    Ok(kept)
}

/// Longest time and point of those that no other beats in both time and cost: the
/// best single point of each deadline, by rising time.
fn front(all: &Gathered, ask: &Ask, demand: &Demand) -> Result<Vec<(f64, usize)>, MakeError> {
    let demand = demand.clone().with_deadline(ask.interval_s);
    let mut found = Vec::new();
    for point in 0..all.points.len() {
        let costs = all.only(&[point]).costs(ask)?;
        if let Ok(outcome) = evaluate(&costs, &demand, &Schedule::of_one(0, all.segments)) {
            found.push((outcome.longest_s, ask.objective.cost(&outcome), point));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut front: Vec<(f64, usize)> = Vec::new();
    let mut best = f64::INFINITY;
    for (time, cost, point) in found {
        if cost < best {
            best = cost;
            front.push((time, point));
        }
    }
    Ok(front)
}

fn least(count: usize, cost: impl Fn(usize) -> f64) -> usize {
    (0..count)
        .min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
        .unwrap_or(0)
}

/// A set in the order of its importance.
#[derive(Default)]
struct Kept(Vec<usize>);

impl Kept {
    fn add(&mut self, point: usize) {
        if self.0.len() < MOST && !self.0.contains(&point) {
            self.0.push(point);
        }
    }
}
