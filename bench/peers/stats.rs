//! Ratios with their intervals.

use crate::table::{median, quantile};
use e4::plan::random::Random;

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;

/// A ratio and its 95 % interval.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    /// `measure` of `ours` over that of `theirs`. Element `i` of both was measured
    /// in the same turn, so both are drawn together.
    pub fn new(ours: &[f64], theirs: &[f64], measure: fn(&mut [f64]) -> f64) -> Self {
        let turns = ours.len().min(theirs.len());
        let of = |chosen: &[usize]| {
            let mut mine: Vec<f64> = chosen.iter().map(|&i| ours[i]).collect();
            let mut others: Vec<f64> = chosen.iter().map(|&i| theirs[i]).collect();
            measure(&mut mine) / measure(&mut others)
        };
        let mut random = Random::new(1, 0);
        let mut drawn: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let chosen: Vec<usize> = (0..turns).map(|_| random.below(turns)).collect();
                of(&chosen)
            })
            .collect();
        let all: Vec<usize> = (0..turns).collect();
        Self {
            value: of(&all),
            low: quantile(&mut drawn, 0.025),
            high: quantile(&mut drawn, 0.975),
        }
    }

    /// Of medians over rounds.
    pub fn of_medians(ours: &[f64], theirs: &[f64]) -> Self {
        Self::new(ours, theirs, median)
    }

    /// Of sums over clips.
    pub fn of_sums(ours: &[f64], theirs: &[f64]) -> Self {
        Self::new(ours, theirs, |values| values.iter().sum())
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ({:.2} .. {:.2})", self.value, self.low, self.high)
    }
}
