//! What a profile found.

use crate::plan::ClockPoint;
use crate::plan::cost::{Cost, CostTable, Head, Idle, Row};
use crate::plan::search::Choice;
use crate::profile::progress::Probe;

/// What a frame is, for the search: how far it goes and how long it may wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Share of the frames that run each segment.
    pub reach: Vec<f64>,
    /// From a frame to the next, s.
    pub interval_s: f64,
    /// A latency counts as its mean and so many spreads.
    pub spreads: f64,
}

impl Weights {
    /// Of frames that leave so.
    #[must_use]
    pub fn new(exit_share: &[f64], interval_s: f64, spreads: f64) -> Self {
        let sum: f64 = exit_share.iter().sum();
        let mut left = 1.0;
        let mut reach = Vec::with_capacity(exit_share.len());
        for share in exit_share {
            reach.push(f64::max(left, 0.0));
            left -= if sum > 0.0 { share / sum } else { 0.0 };
        }
        Self {
            reach,
            interval_s,
            spreads,
        }
    }

    /// Latency of a frame that goes all the way (s), and mean energy of a frame with the
    /// wait until the next (J), all of it at one point.
    #[must_use]
    pub fn frame(&self, probe: &Probe) -> [f64; 2] {
        let (mut longest_s, mut busy_s, mut energy_j) = (0.0, 0.0, 0.0);
        for (row, reach) in probe.rows().zip(&self.reach) {
            longest_s += row.latency_s.mean + self.spreads * row.latency_s.spread;
            busy_s += reach * row.latency_s.mean;
            energy_j += reach * row.energy_j.mean;
        }
        let waits_s = (self.interval_s - busy_s).max(0.0);
        [longest_s, energy_j + waits_s * probe.idle().watts]
    }
}

/// The outcome of a profile.
#[derive(Clone, Debug)]
pub struct Found {
    /// Every point that was measured, in order.
    pub probes: Vec<Probe>,
    /// The search's answer.
    pub choice: Option<(ClockPoint, Choice)>,
    /// What is to be said.
    pub notes: Vec<String>,
}

impl Found {
    pub(crate) fn new(
        probes: Vec<Probe>,
        choice: Option<(ClockPoint, Choice)>,
        notes: Vec<String>,
    ) -> Self {
        let more = probes.iter().flat_map(|p| p.notes.clone());
        let notes = notes.into_iter().chain(more).collect();
        Self {
            probes,
            choice,
            notes,
        }
    }

    /// All probes as a table; a point that was measured again has the mean of its
    /// measurements.
    ///
    /// # Errors
    /// What is wrong with a row.
    pub fn table(&self, mut head: Head) -> Result<CostTable, String> {
        let mut rows: Vec<Row> = Vec::new();
        for new in self.probes.iter().flat_map(Probe::rows) {
            let same = |r: &&mut Row| (r.segment, r.point) == (new.segment, new.point);
            match rows.iter_mut().find(same) {
                Some(row) => *row = pooled(row, &new),
                None => rows.push(new),
            }
        }
        let mut idle: Vec<Idle> = Vec::new();
        for new in self.probes.iter().map(Probe::idle) {
            match idle.iter_mut().find(|i| i.point() == new.point()) {
                Some(old) => {
                    old.watts = f64::midpoint(old.watts, new.watts);
                    old.error_w = old.error_w.max(new.error_w);
                }
                None => idle.push(new),
            }
        }
        head.idle = idle;
        CostTable::new(head, rows).map_err(|(_, what)| what)
    }
}

fn pooled(a: &Row, b: &Row) -> Row {
    let (n, m) = (f64::from(a.samples), f64::from(b.samples));
    let mean = |a: f64, b: f64| (n * a + m * b) / (n + m);
    let cost = |a: Cost, b: Cost| Cost {
        mean: mean(a.mean, b.mean),
        spread: mean(a.spread * a.spread, b.spread * b.spread).sqrt(),
    };
    Row {
        latency_s: cost(a.latency_s, b.latency_s),
        energy_j: cost(a.energy_j, b.energy_j),
        samples: a.samples.saturating_add(b.samples),
        ..*a
    }
}
