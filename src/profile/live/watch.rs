//! Whether a plan is still true: what frames cost against what the table says, and
//! where they leave against where they left.

use super::Meter;
use super::frames::{LiveFrame, seconds};
use crate::plan::ClockPoint;
use crate::plan::belief::{Seen, Tracker};
use crate::plan::cost::CostTable;
use crate::plan::file::PlanFile;
use crate::plan::make::Ask;

/// A stretch that is judged is at least this long ...
const LEAST_NS: u64 = 1_000_000_000;
/// ... and so many in turn have to say the same.
const STRIKES: u32 = 2;
/// What is within this share counts as true whatever the bars.
const NEAR: f64 = 0.08;
/// Frames that a mix of exits is judged by.
const MIX: usize = 100;
/// Share of the frames that leave elsewhere.
const SHIFT: f64 = 0.25;

/// What is to be thought of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Holds,
    /// Frames leave elsewhere.
    Mix(String),
    /// They cost something else.
    Cost(String),
}

/// Follows the frames that a plan is followed for.
#[derive(Debug)]
pub(super) struct Watch {
    table: CostTable,
    file: PlanFile,
    tracker: Tracker,
    /// Frames before that ran at other clocks.
    from_ns: u64,
    share: Vec<f64>,
    /// The stretch under way.
    began: Option<LiveFrame>,
    last: Option<LiveFrame>,
    expected_j: f64,
    bar_j: f64,
    strikes: u32,
    exits: Vec<f64>,
}

impl Watch {
    pub fn new(table: CostTable, file: PlanFile, from_ns: u64, ask: &Ask) -> Self {
        let beliefs = file.beliefs();
        let segments = file.beliefs.first().map_or(0, |b| b.segments.len());
        let mut share = vec![0.0; segments];
        let each = 1.0 / ask.beliefs.classes.len().max(1) as f64;
        let stay = steady(&beliefs.next, each);
        for (class, weight) in ask.beliefs.classes.iter().zip(stay) {
            for (sum, s) in share.iter_mut().zip(&class.exit_share) {
                *sum += weight * s;
            }
        }
        Self {
            tracker: Tracker::new(beliefs),
            table,
            file,
            from_ns,
            share,
            began: None,
            last: None,
            expected_j: 0.0,
            bar_j: 0.0,
            strikes: 0,
            exits: vec![0.0; segments],
        }
    }

    pub fn take(&mut self, frame: &LiveFrame) {
        let belief = self.tracker.likeliest();
        self.tracker.observe(Seen {
            exit: frame.exit,
            first_gate: frame.first_gate,
        });
        if frame.captured_ns < self.from_ns {
            return;
        }
        if let Some(count) = self.exits.get_mut(frame.exit) {
            *count += 1.0;
        }
        if let Some(last) = self.last {
            let whole_s = seconds(frame.left_ns.saturating_sub(last.left_ns));
            let (joules, bar) = self.expected(belief, frame, whole_s);
            self.expected_j += joules;
            self.bar_j += bar;
        } else {
            self.began = Some(*frame);
        }
        self.last = Some(*frame);
    }

    /// What a frame and the wait before it take by the table, and by how much that can
    /// be off.
    fn expected(&self, belief: usize, frame: &LiveFrame, whole_s: f64) -> (f64, f64) {
        let turns = &self.file.beliefs[belief].segments;
        let (mut joules, mut bar) = (0.0, 0.0);
        for (k, turn) in turns.iter().enumerate().take(frame.exit + 1) {
            let row = self
                .table
                .at(u32::try_from(k).unwrap_or(u32::MAX), turn.point());
            if let Some(row) = row {
                // By power: how long it took now is known.
                let watts = row.energy_j.mean / row.latency_s.mean;
                joules += watts * frame.segment_s[k];
                bar += row.energy_j.spread / row.latency_s.mean * frame.segment_s[k];
            }
        }
        let rests = self.file.idle.or(turns.first().copied());
        let rests = rests.map_or(ClockPoint::default(), |p| p.point());
        let idle = self.table.head.idle.iter().find(|i| i.point() == rests);
        let waits_s = (whole_s - frame.busy_s()).max(0.0);
        let (watts, off) = idle.map_or((0.0, 0.0), |i| (i.watts, i.error_w));
        (joules + watts * waits_s, bar + off * waits_s)
    }

    pub fn judge(&mut self, now_ns: u64, meter: &mut dyn Meter) -> Verdict {
        let (Some(began), Some(last)) = (self.began, self.last) else {
            return Verdict::Holds;
        };
        let long_ns = LEAST_NS.max(4 * meter.window_ns());
        if last.left_ns.saturating_sub(began.left_ns) < long_ns {
            return Verdict::Holds;
        }
        let Some(figure) = meter.energy(began.left_ns, last.left_ns) else {
            // Not known yet, or not at all: then from here on.
            if now_ns > last.left_ns.saturating_add(4 * long_ns) {
                self.begin(last);
            }
            return Verdict::Holds;
        };
        let off = (figure.joules - self.expected_j).abs();
        let bar = self.bar_j + figure.error_joules;
        let odd = off > 2.0 * bar && off > NEAR * self.expected_j;
        self.strikes = if odd { self.strikes + 1 } else { 0 };
        let (found, expected) = (figure.joules, self.expected_j);
        self.begin(last);
        if self.strikes >= STRIKES {
            return Verdict::Cost(format!(
                "frames draw {:.1} % of what was measured ({found:.3} J where {expected:.3} J were expected, give or take {bar:.3} J): measuring again",
                found / expected * 1e2
            ));
        }
        self.mix()
    }

    fn begin(&mut self, at: LiveFrame) {
        self.began = Some(at);
        (self.expected_j, self.bar_j) = (0.0, 0.0);
    }

    fn mix(&mut self) -> Verdict {
        let count: f64 = self.exits.iter().sum();
        if count < MIX as f64 {
            return Verdict::Holds;
        }
        let pairs = self.exits.iter().zip(&self.share);
        let apart = pairs
            .map(|(n, share)| (n / count - share).abs())
            .sum::<f64>()
            / 2.0;
        self.exits.fill(0.0);
        match apart > SHIFT {
            true => Verdict::Mix(format!(
                "{:.0} % of the frames leave elsewhere than the plan expects: planned again",
                apart * 1e2
            )),
            false => Verdict::Holds,
        }
    }
}

/// How often each class comes up in the long run.
fn steady(next: &[Vec<f64>], even: f64) -> Vec<f64> {
    let mut share = vec![even; next.len()];
    for _ in 0..200 {
        let mut after = vec![0.0; next.len()];
        for (from, row) in share.iter().zip(next) {
            for (to, p) in after.iter_mut().zip(row) {
                *to += from * p;
            }
        }
        share = after;
    }
    share
}
