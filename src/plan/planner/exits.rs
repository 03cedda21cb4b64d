//! E4's plan: one clock sequence for each exit point, as if the exit were known
//! when the frame begins (arXiv 2503.04865, algorithm 1).

use super::costs::{Costs, Demand};
use super::schedule::{Schedule, Turn};

/// The clock point of each segment up to exit point `k`, for each `k`; `None`
/// where no sequence keeps the deadline.
pub type PerExit = Vec<Option<Vec<usize>>>;

/// Time and energy of the segments so far, and the points that led there.
#[derive(Clone, Debug)]
struct Partial {
    time_s: f64,
    energy_j: f64,
    points: Vec<usize>,
}

/// For each exit point, the clock points of least energy under the deadline,
/// changes of clocks being free: what E4 optimises.
#[must_use]
pub fn per_exit(costs: &Costs, demand: &Demand) -> PerExit {
    let mut front = vec![Partial {
        time_s: 0.0,
        energy_j: 0.0,
        points: Vec::new(),
    }];
    (0..costs.segments)
        .map(|segment| {
            front = extend(costs, demand, segment, &front);
            front.last().map(|least| least.points.clone())
        })
        .collect()
}

/// All sequences that are one segment longer and that no other one beats in both
/// time and energy; the time rises and the energy falls along the list.
fn extend(costs: &Costs, demand: &Demand, segment: usize, front: &[Partial]) -> Vec<Partial> {
    let mut all: Vec<(f64, f64, usize, usize)> = Vec::new();
    for (from, partial) in front.iter().enumerate() {
        for point in 0..costs.points {
            let time_s = partial.time_s + costs.latency(segment, point);
            if time_s <= demand.deadline_s {
                let energy_j = partial.energy_j + costs.energy(segment, point);
                all.push((time_s, energy_j, from, point));
            }
        }
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut kept: Vec<Partial> = Vec::new();
    for (time_s, energy_j, from, point) in all {
        if kept.last().is_none_or(|last| energy_j < last.energy_j) {
            let mut points = front[from].points.clone();
            points.push(point);
            kept.push(Partial {
                time_s,
                energy_j,
                points,
            });
        }
    }
    kept
}

/// What becomes of [`per_exit`] plans when the exit is not known: a frame follows
/// the plan of the most likely exit point, switching at segment borders, and
/// where it goes deeper that of the most likely of the exit points left. `None`
/// where one of the plans it would follow does not exist.
#[must_use]
pub fn as_executed(plans: &PerExit, demand: &Demand) -> Option<Schedule> {
    let likeliest = |from: usize| {
        let rest = from..demand.exit_share.len();
        rest.reduce(|best, exit| {
            if demand.exit_share[exit] > demand.exit_share[best] {
                exit
            } else {
                best
            }
        })
    };
    let mut turns = Vec::with_capacity(plans.len());
    let mut followed = likeliest(0)?;
    for segment in 0..plans.len() {
        if segment > followed {
            followed = likeliest(segment)?;
        }
        let point = *plans[followed].as_ref()?.get(segment)?;
        turns.push(Turn {
            point,
            ahead: false,
        });
    }
    Some(Schedule { turns })
}
