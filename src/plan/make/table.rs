//! A cost table as flat lists over segments and points.

use super::{Ask, MakeError};
use crate::plan::cost::{CostTable, Source};
use crate::plan::planner::{Costs, CostsError};
use crate::plan::point::ClockPoint;

/// Entry `k * P + p` is segment `k` at point `p`.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    pub segments: usize,
    pub points: Vec<ClockPoint>,
    pub latency_s: Vec<f64>,
    pub energy_j: Vec<f64>,
    pub idle_w: Vec<f64>,
    pub knows_idle: bool,
    pub source: Source,
}

impl Gathered {
    /// All points that are allowed and have a row for every segment.
    pub fn new(table: &CostTable, ask: &Ask) -> Result<Self, MakeError> {
        let segments = table.segments();
        if segments.is_empty() {
            return Err(MakeError::Empty);
        }
        if let Some(gap) = (0..).zip(&segments).find(|(k, found)| k != *found) {
            return Err(MakeError::Segment(gap.0));
        }
        let rows = table.segment(0).iter().map(|row| row.point);
        let whole = |p: &ClockPoint| segments.iter().all(|k| table.at(*k, *p).is_some());
        let points: Vec<ClockPoint> = rows
            .filter(|p| p.is_within(ask.limit))
            .filter(whole)
            .collect();
        if points.is_empty() {
            let limit = ask.limit.to_string();
            return Err(MakeError::NoPoint { limit });
        }
        let (mut latency_s, mut energy_j) = (Vec::new(), Vec::new());
        let mut source = Source::Measured;
        for k in &segments {
            for row in points.iter().filter_map(|p| table.at(*k, *p)) {
                latency_s.push(row.latency_s.mean + ask.spreads * row.latency_s.spread);
                energy_j.push(row.energy_j.mean);
                if row.source == Source::Simulated {
                    source = Source::Simulated;
                }
            }
        }
        let idle = |p: &ClockPoint| idle_w(table, *p).or(ask.idle_w);
        Ok(Self {
            segments: segments.len(),
            idle_w: points.iter().map(|p| idle(p).unwrap_or(0.0)).collect(),
            knows_idle: !table.head.idle.is_empty() || ask.idle_w.is_some(),
            points,
            latency_s,
            energy_j,
            source,
        })
    }

    /// Of these points alone.
    pub fn only(&self, kept: &[usize]) -> Self {
        let of = |list: &[f64]| {
            let rows = list.chunks_exact(self.points.len());
            rows.flat_map(|row| kept.iter().map(|&p| row[p])).collect()
        };
        Self {
            points: kept.iter().map(|&p| self.points[p]).collect(),
            latency_s: of(&self.latency_s),
            energy_j: of(&self.energy_j),
            idle_w: of(&self.idle_w),
            ..*self
        }
    }

    /// For the planner.
    pub fn costs(&self, ask: &Ask) -> Result<Costs, CostsError> {
        let pairs = self
            .points
            .iter()
            .flat_map(|from| self.points.iter().map(|to| ask.changes.between(*from, *to)));
        let change_s: Vec<f64> = pairs.collect();
        let free = vec![0.0; change_s.len()];
        let costs = Costs::new(
            self.segments,
            self.points.len(),
            self.latency_s.clone(),
            self.energy_j.clone(),
            self.idle_w.clone(),
        )?
        .with_changes(change_s, free)?;
        Ok(match ask.power_cap_w {
            Some(watts) => costs.within_power(watts),
            None => costs,
        })
    }

    /// Time of a frame that leaves at the last exit, all of it at `point`; endless
    /// where a segment draws more than the cap.
    pub fn longest_s(&self, point: usize, cap_w: Option<f64>) -> f64 {
        let entry = |k: usize| k * self.points.len() + point;
        let times = (0..self.segments).map(|k| {
            let (s, j) = (self.latency_s[entry(k)], self.energy_j[entry(k)]);
            match cap_w {
                Some(watts) if j > watts * s => f64::INFINITY,
                _ => s,
            }
        });
        times.sum()
    }

    /// Why nothing can be planned.
    pub fn why_not(&self, cap_w: Option<f64>, deadline_s: f64, spreads: f64) -> MakeError {
        let times = (0..self.points.len()).map(|p| (self.longest_s(p, cap_w), p));
        let least = times.min_by(|a, b| a.0.total_cmp(&b.0));
        let (least_s, point) = least.unwrap_or((f64::INFINITY, 0));
        match cap_w {
            Some(watts) if least_s.is_infinite() => MakeError::Power { watts },
            _ => MakeError::Deadline {
                deadline_ms: deadline_s * 1e3,
                least_ms: least_s * 1e3,
                point: self.points[point],
                spreads,
                cap: match cap_w {
                    Some(_) => " or --power-cap-w",
                    None => "",
                },
            },
        }
    }
}

/// What the table says of a point, or of the one that is nearest to it by clocks.
fn idle_w(table: &CostTable, point: ClockPoint) -> Option<f64> {
    let apart = |other: ClockPoint| -> f64 {
        let pairs = point.khz().into_iter().zip(other.khz());
        let ratios = pairs.filter(|(a, b)| *a > 0 && *b > 0);
        ratios
            .map(|(a, b)| (f64::from(a) / f64::from(b)).ln().abs())
            .sum()
    };
    let known = table.head.idle.iter();
    let nearest = known.min_by(|a, b| apart(a.point()).total_cmp(&apart(b.point())));
    nearest.map(|idle| idle.watts)
}
