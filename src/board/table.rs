//! What a simulated board tells the planner: cost tables, idle power, times and
//! energies of changes.
//!
//! Guarantees: every table says *simulated*, the board and its boundary; equal
//! input gives equal bytes. Cost: about two microseconds a segment and point.

use super::description::{Change, Description};
use super::load::SegmentLoad;
use crate::engine::bundle::Bundle;
use crate::plan::cost::{Cost, CostTable, FORMAT, Head, Idle, Row, Source};
use crate::plan::planner::{Costs, CostsError};
use crate::plan::{Axis, ClockPoint};

/// Deviation of a single inference over its mean, latency and energy: what is left
/// between neighbouring rows of the grids where only noise differs.
pub const SPREAD: [f64; 2] = [0.01, 0.02];

/// Whose segments a table is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Of {
    /// Name of the bundle.
    pub bundle: String,
    /// Its digest.
    pub sha256: String,
}

impl Of {
    /// Of a bundle.
    #[must_use]
    pub fn bundle(bundle: &Bundle) -> Self {
        Self {
            bundle: bundle.manifest().name.clone(),
            sha256: bundle.digest().to_owned(),
        }
    }
}

impl Description {
    /// Latency (s) and energy (J) of a segment at a clock point, without spread,
    /// at the temperature at which leakage is known.
    #[must_use]
    pub fn cost(&self, load: &SegmentLoad, point: ClockPoint) -> [f64; 2] {
        self.cost_at(load, point, 1.0)
    }

    /// The same with leakage `leak` times as high.
    #[must_use]
    pub fn cost_at(&self, load: &SegmentLoad, point: ClockPoint, leak: f64) -> [f64; 2] {
        let u = self.relative(point);
        let busy = self.timing.busy(&load.work(self), u);
        let energy_j = self.power().energy_j(u, &busy, [1.0; 3], leak);
        [busy.latency_s, energy_j]
    }

    /// Power without work at a clock point, W.
    #[must_use]
    pub fn idle_w(&self, point: ClockPoint) -> f64 {
        self.power().idle_w(self.relative(point), 1.0)
    }

    /// Latency and energy of segments at clock points, marked simulated.
    ///
    /// # Errors
    /// What is wrong with the points: one is there twice, or axes come and go.
    pub fn cost_table(
        &self,
        loads: &[SegmentLoad],
        points: &[ClockPoint],
        of: &Of,
    ) -> Result<CostTable, String> {
        let rows = loads.iter().zip(0_u32..);
        let rows = rows.flat_map(|(load, segment)| points.iter().map(move |p| (load, segment, *p)));
        let row = |(load, segment, point): (&SegmentLoad, u32, ClockPoint)| {
            let [latency, energy] = self.cost(load, point);
            let with = |mean: f64, spread: f64| Cost {
                mean,
                spread: mean * spread,
            };
            Row {
                segment,
                point,
                latency_s: with(latency, SPREAD[0]),
                energy_j: with(energy, SPREAD[1]),
                samples: 1,
                source: Source::Simulated,
            }
        };
        let head = Head {
            format: FORMAT.to_owned(),
            board: self.name.clone(),
            boundary: format!("{} ({})", self.simulated_boundary(), self.mark()),
            bundle: of.bundle.clone(),
            bundle_sha256: of.sha256.clone(),
            idle: points
                .iter()
                .map(|p| Idle::at(*p, self.idle_w(*p), 0.0))
                .collect(),
        };
        CostTable::new(head, rows.map(row).collect()).map_err(|(_, what)| what)
    }

    /// How long a change between two points takes at most, s (the slowest domain),
    /// and its energy, J: the domains that stand still draw idle power meanwhile.
    #[must_use]
    pub fn change(&self, from: ClockPoint, to: ClockPoint) -> [f64; 2] {
        let mut longest_ms = 0.0_f64;
        let mut stall_ms = 0.0;
        for axis in Axis::ALL {
            let (from, to) = (from.khz()[axis.index()], to.khz()[axis.index()]);
            if from != to {
                let change = &self.domain(axis).change;
                longest_ms = longest_ms.max(self.change_ms(axis, from, to) * (1.0 + change.jitter));
                stall_ms += change.stall_ms;
            }
        }
        let idle_w = self.idle_w(from).max(self.idle_w(to));
        [longest_ms * 1e-3, stall_ms * 1e-3 * idle_w]
    }

    /// Median and 90th percentile of an axis's changes, ms, upwards or downwards, over
    /// all levels: what `e4 profile --transitions` would find.
    #[must_use]
    pub fn change_spread_ms(&self, axis: Axis, up: bool) -> [f64; 2] {
        let change = &self.domain(axis).change;
        let (median, slow) = match up {
            true => (change.up_ms, change.up_ms.max(change.from_low_ms)),
            false => (change.down_ms, change.down_ms),
        };
        // The jitter is uniform: its 90th percentile is 0.8 of its half width.
        [median, slow * (1.0 + 0.8 * change.jitter)]
    }

    /// Median time of one domain's change, ms.
    #[must_use]
    pub fn change_ms(&self, axis: Axis, from_khz: u32, to_khz: u32) -> f64 {
        let change: &Change = &self.domain(axis).change;
        let levels = self.levels(axis);
        let below = levels.partition_point(|khz| *khz < from_khz);
        if to_khz < from_khz {
            change.down_ms
        } else if to_khz == from_khz {
            0.0
        } else if 3 * below < levels.len() {
            change.from_low_ms
        } else {
            change.up_ms
        }
    }

    /// What the planner plans with: mean and `k` spreads of latency, idle power,
    /// changes.
    ///
    /// # Errors
    /// Without a segment or a point.
    pub fn costs(
        &self,
        loads: &[SegmentLoad],
        points: &[ClockPoint],
        k: f64,
    ) -> Result<Costs, CostsError> {
        let all = loads
            .iter()
            .flat_map(|load| points.iter().map(|p| self.cost(load, *p)));
        let (mut latency_s, mut energy_j) = (Vec::new(), Vec::new());
        for [latency, energy] in all {
            latency_s.push(latency * (1.0 + k * SPREAD[0]));
            energy_j.push(energy);
        }
        let idle_w = points.iter().map(|p| self.idle_w(*p)).collect();
        let pairs = points
            .iter()
            .flat_map(|a| points.iter().map(|b| self.change(*a, *b)));
        let (change_s, change_j) = pairs.map(|[s, j]| (s, j)).unzip();
        Costs::new(loads.len(), points.len(), latency_s, energy_j, idle_w)?
            .with_changes(change_s, change_j)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::boards;
    use crate::plan::planner::{Demand, Objective, best_static, plan};

    #[test]
    fn a_table_says_simulated_and_covers_every_point() {
        for board in boards() {
            let points = board.points();
            let loads = [SegmentLoad::MOBILENETV2, SegmentLoad::RESNET50];
            let table = board.cost_table(&loads, &points, &Of::default()).unwrap();
            assert_eq!(table.rows().len(), 2 * points.len());
            assert!(
                table
                    .rows()
                    .iter()
                    .all(|row| row.source == Source::Simulated)
            );
            assert!(table.head.boundary.contains("simulated"));
        }
    }

    #[test]
    fn the_planner_runs_on_every_board() {
        for board in boards() {
            let points: Vec<ClockPoint> = board.points().into_iter().step_by(7).take(64).collect();
            let costs = board
                .costs(&[SegmentLoad::MOBILENETV2; 3], &points, 2.0)
                .unwrap();
            let demand = Demand::new(vec![0.5, 0.25, 0.25], 10.0, 10.0).unwrap();
            let (_, fixed) = best_static(&costs, &demand, Objective::Energy).unwrap();
            let (_, planned) = plan(&costs, &demand, Objective::Energy).unwrap();
            assert!(
                planned.energy_j <= fixed.energy_j * (1.0 + 1e-12),
                "{}",
                board.name
            );
        }
    }

    #[test]
    fn raising_a_low_graphics_clock_takes_longest() {
        let board = crate::board::named("orin-nano").unwrap();
        let (low, high) = (board.levels(Axis::Gpu)[0], board.highest().gpu_khz);
        assert!(board.change_ms(Axis::Gpu, low, high) > board.change_ms(Axis::Gpu, high, low));
        assert!(board.change(board.highest(), board.highest()) == [0.0, 0.0]);
    }
}
