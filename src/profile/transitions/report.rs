//! What was measured, for people and for machines (`e4.transitions/1`).

use crate::clocks::DomainKind;
use serde::Serialize;

/// Way of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To a faster clock.
    Up,
    /// To a slower clock.
    Down,
}

/// How it was seen that a change is in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The clock was read until it was the new one.
    ReadBack,
    /// A loop on the core changed its speed.
    Loop,
}

/// Times from the write until the change is in effect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Distribution {
    /// Faster or slower.
    pub direction: Direction,
    /// How it was seen.
    pub by: By,
    /// False where the clock that was read only repeats the wish.
    pub verified: bool,
    /// Changes that came into effect.
    pub n: usize,
    /// Changes that were not seen to come into effect.
    pub missed: usize,
    /// Median in microseconds.
    pub p50_us: Option<f64>,
    /// 90th percentile in microseconds.
    pub p90_us: Option<f64>,
    /// Longest in microseconds.
    pub max_us: Option<f64>,
}

impl Distribution {
    /// Of times in nanoseconds, in any order.
    #[must_use]
    pub fn of(direction: Direction, by: By, verified: bool, times: &Times) -> Self {
        let mut sorted = times.seen_ns.clone();
        sorted.sort_unstable();
        // Nearest rank: the least time that is not exceeded in q of 100 cases.
        let rank = |q: usize| {
            let at = (sorted.len() * q).div_ceil(100).checked_sub(1)?;
            sorted.get(at).map(|&ns| microseconds(ns))
        };
        Self {
            direction,
            by,
            verified,
            n: sorted.len(),
            missed: times.missed,
            p50_us: rank(50),
            p90_us: rank(90),
            max_us: rank(100),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 ns")]
fn microseconds(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

/// What a number of changes took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Times until in effect, in nanoseconds.
    pub seen_ns: Vec<u64>,
    /// Changes that were not seen to come.
    pub missed: usize,
}

impl Times {
    /// Takes one in.
    pub fn add(&mut self, time_ns: Option<u64>) {
        match time_ns {
            Some(ns) => self.seen_ns.push(ns),
            None => self.missed += 1,
        }
    }
}

/// One domain's transitions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DomainTransitions {
    /// The domain.
    pub domain: String,
    /// What it clocks.
    pub kind: DomainKind,
    /// Slowest and fastest clock that were changed between, in kHz.
    pub between_khz: (u32, u32),
    /// Whether the core's speed follows the clock; `None` where no loop can tell.
    pub speed_follows_clock: Option<bool>,
    /// Sentences on what could not be measured as it should.
    pub notes: Vec<String>,
    /// Distributions, by direction and by the way of seeing.
    pub distributions: Vec<Distribution>,
}

impl DomainTransitions {
    /// A line for each distribution, then the notes.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let ms = |us: Option<f64>| us.map_or("-".to_owned(), |us| format!("{:.3}", us / 1000.0));
        let line = |d: &Distribution| {
            let direction = match d.direction {
                Direction::Up => "up",
                Direction::Down => "down",
            };
            let by = match (d.by, d.verified) {
                (By::Loop, _) => "loop",
                (By::ReadBack, true) => "read-back",
                (By::ReadBack, false) => "read-back*",
            };
            format!(
                "{:<10} {direction:<4} {by:<10} {:>9} {:>9} {:>9} {:>5} {:>6}",
                self.domain,
                ms(d.p50_us),
                ms(d.p90_us),
                ms(d.max_us),
                d.n,
                d.missed
            )
        };
        let lines = self.distributions.iter().map(line);
        let notes = self
            .notes
            .iter()
            .map(|note| format!("{}: {note}", self.domain));
        lines.chain(notes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut times = Times::default();
        (1..=10)
            .rev()
            .for_each(|ms| times.add(Some(ms * 1_000_000)));
        times.add(None);
        let d = Distribution::of(Direction::Up, By::Loop, true, &times);
        assert_eq!((d.n, d.missed), (10, 1));
        assert_eq!(
            (d.p50_us, d.p90_us, d.max_us),
            (Some(5e3), Some(9e3), Some(1e4))
        );
        let none = Distribution::of(Direction::Up, By::Loop, true, &Times::default());
        assert_eq!((none.p50_us, none.max_us), (None, None));
    }
}
