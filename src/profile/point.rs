//! Measures one clock point: every segment, then the board at rest.
//!
//! Guarantees: no stretch is shorter than [`Settings::windows`] of the sensor's windows;
//! a stretch during which the clocks did not hold counts for nothing; means are only
//! those of stretches that were measured throughout. What did not become as certain as
//! asked is said.

use super::rig::{Brought, Rig, Stretch, Work};
use crate::plan::ClockPoint;
use crate::plan::cost::{Cost, Idle, Row, Source};
use serde::{Deserialize, Serialize};

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Windows of the sensor that a stretch lasts, at least.
    pub windows: u32,
    /// A stretch is repeated until the mean of its energy is known this well, as a
    /// share.
    pub precision: f64,
    /// ... but at most so often.
    pub repeats: u32,
    /// Where the numbers come from.
    pub source: Source,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            windows: 20,
            precision: 0.03,
            repeats: 6,
            source: Source::Measured,
        }
    }
}

/// Stretches that may fail for want of a figure.
const GAPS: u32 = 8;
/// Stretches that the precision is judged by, at least.
const LEAST: u32 = 2;
/// No stretch is shorter, whatever the sensor.
const SHORTEST_NS: u64 = 20_000_000;

/// A point that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// One row a segment.
    pub rows: Vec<Row>,
    /// The board at rest.
    pub idle: Idle,
    /// Energy of all that was measured for it, J.
    pub spent_j: f64,
    /// What is not as it should be.
    pub notes: Vec<String>,
}

/// Why a point was not measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Others hold the clocks down.
    Held {
        /// What they allow.
        allowed: ClockPoint,
        /// Who.
        by: String,
    },
    /// A clock, the engine or the sensor failed for good; one sentence.
    Broken(String),
    /// Somebody wants it to end.
    Stopped,
}

/// Measures `point`.
///
/// # Errors
/// When it cannot be measured.
pub fn measure(rig: &mut dyn Rig, point: ClockPoint, how: &Settings) -> Result<Measured, Failure> {
    check(rig.bring(point))?;
    let mut all = Measured {
        rows: Vec::with_capacity(rig.segments()),
        idle: Idle::at(point, 0.0, 0.0),
        spent_j: 0.0,
        notes: Vec::new(),
    };
    for segment in 0..rig.segments() {
        let taken = Taken::of(rig, Work::Segment(segment), how)?;
        all.spent_j += taken.spent_j();
        if taken.off() > how.precision {
            all.notes.push(format!(
                "segment {segment} at {point}: the energy of {} stretches still differs by {:.1} %",
                taken.stretches.len(),
                taken.off() * 1e2
            ));
        }
        all.rows.push(Row {
            segment: u32::try_from(segment).unwrap_or(u32::MAX),
            point,
            latency_s: taken.latency(),
            energy_j: taken.energy(),
            samples: taken.runs(),
            source: how.source,
        });
    }
    let rest = Taken::of(rig, Work::Idle, how)?;
    all.spent_j += rest.spent_j();
    let watts = rest.watts();
    all.idle = Idle::at(point, watts.mean.max(0.0), watts.spread);
    Ok(all)
}

fn check(brought: Brought) -> Result<(), Failure> {
    match brought {
        Brought::There => Ok(()),
        Brought::Held { allowed, by } => Err(Failure::Held { allowed, by }),
        Brought::Refused(why) => Err(Failure::Broken(why)),
    }
}

/// Stretches of one kind of work with their energy and its error bar, J.
#[derive(Debug, Default)]
struct Taken {
    stretches: Vec<(Stretch, f64, f64)>,
}

impl Taken {
    fn of(rig: &mut dyn Rig, work: Work, how: &Settings) -> Result<Self, Failure> {
        let length_ns = u64::from(how.windows) * rig.window_ns();
        let length_ns = length_ns.max(SHORTEST_NS);
        let mut taken = Self::default();
        let mut gaps = 0;
        while taken.count() < how.repeats.max(LEAST) {
            if !rig.goes_on() {
                return Err(Failure::Stopped);
            }
            let stretch = rig.run(work, length_ns).map_err(Failure::Broken)?;
            if !rig.goes_on() {
                return Err(Failure::Stopped);
            }
            check(rig.holds())?;
            match rig.energy(&stretch) {
                Some(figure) => {
                    let bar = figure.error_joules;
                    taken.stretches.push((stretch, figure.joules, bar));
                }
                None => gaps += 1,
            }
            if gaps == GAPS {
                let why = rig.complaint();
                let why = why.unwrap_or_else(|| "its readings have gaps".to_owned());
                return Err(Failure::Broken(format!("no energy was measured: {why}")));
            }
            if taken.count() >= LEAST && taken.off() <= how.precision {
                break;
            }
        }
        let joules: f64 = taken.stretches.iter().map(|t| t.1).sum();
        if joules > 0.0 || work == Work::Idle {
            return Ok(taken);
        }
        let why = "no energy was measured: the sensor shows no power while segments run";
        Err(Failure::Broken(why.to_owned()))
    }

    fn count(&self) -> u32 {
        u32::try_from(self.stretches.len()).unwrap_or(u32::MAX)
    }

    fn runs(&self) -> u32 {
        self.stretches.iter().map(|t| t.0.runs).sum::<u32>().max(1)
    }

    fn spent_j(&self) -> f64 {
        self.stretches.iter().map(|t| t.1).sum()
    }

    /// By how much the mean energy can be off, as a share: one standard error of the
    /// power, or of the time of a run, whichever is more.
    fn off(&self) -> f64 {
        let (watts, deviation) = moments(&self.watts_of_each());
        let share = |mean: f64, deviation: f64, count: u32| match mean > 0.0 {
            true => deviation / mean / f64::from(count.max(1)).sqrt(),
            false => 0.0,
        };
        let latency = self.latency();
        let time = share(latency.mean, latency.spread, self.runs());
        share(watts, deviation, self.count()).max(time)
    }

    fn watts_of_each(&self) -> Vec<f64> {
        let each = self.stretches.iter();
        each.map(|(s, joules, _)| joules / seconds(s)).collect()
    }

    fn watts(&self) -> Cost {
        let (mean, deviation) = moments(&self.watts_of_each());
        let bars = self.stretches.iter().map(|(s, _, bar)| bar / seconds(s));
        let bar = bars.sum::<f64>() / f64::from(self.count().max(1));
        Cost {
            mean,
            spread: deviation.max(bar),
        }
    }

    fn latency(&self) -> Cost {
        let runs = f64::from(self.runs());
        let sum: f64 = self.stretches.iter().map(|t| t.0.sum_s).sum();
        let squares: f64 = self.stretches.iter().map(|t| t.0.squares_s2).sum();
        let mean = sum / runs;
        Cost {
            mean,
            spread: (squares / runs - mean * mean).max(0.0).sqrt(),
        }
    }

    /// Of one run: the mean power over the mean time.
    fn energy(&self) -> Cost {
        let (watts, latency) = (self.watts(), self.latency());
        Cost {
            mean: watts.mean * latency.mean,
            spread: watts.spread * latency.mean,
        }
    }
}

fn seconds(stretch: &Stretch) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
    let ns = stretch.to_ns.saturating_sub(stretch.from_ns).max(1) as f64;
    ns / 1e9
}

/// Mean and standard deviation.
fn moments(numbers: &[f64]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "few numbers")]
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}
