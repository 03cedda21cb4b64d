//! Whose energy is it: least squares of the energy of short stretches over the time
//! that each segment ran in them.
//!
//! A stretch of `T` seconds in which segment `k` ran for `b_k` seconds takes
//! `w T + sum_k d_k b_k` joules: `w` at rest, `w + d_k` while `k` runs. The exits of
//! the frames make the `b_k` differ; where they do not, or too few stretches are long
//! enough for the sensor, fewer things are told apart, and [`Told`] says so.

use serde::Serialize;

/// What could be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// Nothing: all time counts alike.
    Whole,
    /// Work and rest.
    Busy,
    /// Every segment that ran, and rest.
    Segments,
}

impl Told {
    /// The word in summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole-frames",
            Self::Busy => "work-and-rest",
            Self::Segments => "segments",
        }
    }
}

/// A short stretch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub seconds: f64,
    pub joules: f64,
    /// One a segment.
    pub busy_s: Vec<f64>,
}

/// Power of each segment and of a board at rest, W.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Powers {
    pub segment_w: Vec<f64>,
    pub idle_w: f64,
    /// By how much they can be off, as a share of the mean power.
    pub off: f64,
    pub told: Told,
}

/// Known better than this (as a share of the mean power), a power counts as told.
const KNOWN: f64 = 0.1;

/// The powers of `slices`, as far as they can be told and are asked for; `mean_w` is
/// that of all of them.
pub(super) fn powers(slices: &[Slice], segments: usize, mean_w: f64, most: Told) -> Powers {
    let ran: Vec<usize> = (0..segments)
        .filter(|&k| slices.iter().any(|s| s.busy_s[k] > 0.0))
        .collect();
    let by_segment = |s: &Slice| {
        let own = ran.iter().map(|&k| s.busy_s[k]);
        std::iter::once(s.seconds).chain(own).collect()
    };
    if most == Told::Segments
        && ran.len() > 1
        && let Some((x, off)) = solve(slices, &by_segment, mean_w)
    {
        let extra = x[1..].iter().sum::<f64>() / ran.len() as f64;
        let of = |k: usize| {
            ran.iter()
                .position(|&r| r == k)
                .map_or(extra, |at| x[1 + at])
        };
        return Powers {
            segment_w: (0..segments).map(|k| x[0] + of(k)).collect(),
            idle_w: x[0],
            off,
            told: Told::Segments,
        };
    }
    let by_work = |s: &Slice| vec![s.seconds, s.busy_s.iter().sum()];
    if most >= Told::Busy
        && let Some((x, off)) = solve(slices, &by_work, mean_w)
    {
        return Powers {
            segment_w: vec![x[0] + x[1]; segments],
            idle_w: x[0],
            off,
            told: Told::Busy,
        };
    }
    Powers {
        segment_w: vec![mean_w; segments],
        idle_w: mean_w,
        off: 0.0,
        told: Told::Whole,
    }
}

/// Least squares; none where a power is not known well or is none.
fn solve(
    slices: &[Slice],
    row: &dyn Fn(&Slice) -> Vec<f64>,
    mean_w: f64,
) -> Option<(Vec<f64>, f64)> {
    let rows: Vec<Vec<f64>> = slices.iter().map(row).collect();
    let n = rows.first()?.len();
    if rows.len() < 3 * n {
        return None;
    }
    let mut a = vec![vec![0.0; n]; n];
    let mut b = vec![0.0; n];
    for (row, slice) in rows.iter().zip(slices) {
        for i in 0..n {
            b[i] += row[i] * slice.joules;
            for j in 0..n {
                a[i][j] += row[i] * row[j];
            }
        }
    }
    let inverse = inverse(a)?;
    let x: Vec<f64> = inverse
        .iter()
        .map(|row| row.iter().zip(&b).map(|(i, b)| i * b).sum())
        .collect();
    let residuals = rows.iter().zip(slices).map(|(row, slice)| {
        let fit: f64 = row.iter().zip(&x).map(|(r, x)| r * x).sum();
        (slice.joules - fit) * (slice.joules - fit)
    });
    let variance = residuals.sum::<f64>() / (rows.len() - n) as f64;
    // Of w + d_k: the variances of both, and twice what they share.
    let off = |k: usize| {
        let shared = match k {
            0 => inverse[0][0],
            _ => inverse[0][0] + inverse[k][k] + 2.0 * inverse[0][k],
        };
        (variance * shared.max(0.0)).sqrt() / mean_w
    };
    let worst = (0..n).map(off).fold(0.0, f64::max);
    let sound = x[0] >= 0.0 && x[1..].iter().all(|d| x[0] + d > 0.0);
    (sound && worst <= KNOWN).then_some((x, worst))
}

/// Gauss and Jordan, with the largest pivot; none where there is none to speak of.
fn inverse(mut a: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let n = a.len();
    let scale: Vec<f64> = (0..n).map(|i| a[i][i]).collect();
    for (i, row) in a.iter_mut().enumerate() {
        row.resize(2 * n, 0.0);
        row[n + i] = 1.0;
    }
    for i in 0..n {
        let pivot = (i..n).max_by(|&p, &q| a[p][i].abs().total_cmp(&a[q][i].abs()))?;
        a.swap(i, pivot);
        if a[i][i].abs() <= 1e-9 * scale[i].abs() || !a[i][i].is_finite() {
            return None;
        }
        let own = a[i].clone();
        for (j, row) in a.iter_mut().enumerate() {
            let factor = match i == j {
                true => 1.0 - 1.0 / own[i],
                false => row[i] / own[i],
            };
            for (x, o) in row.iter_mut().zip(&own) {
                *x -= factor * o;
            }
        }
    }
    Some(a.into_iter().map(|row| row[n..].to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(mix: &[[f64; 2]], noise: f64) -> Vec<Slice> {
        let wobble = (0..).map(|i: u32| if i.is_multiple_of(2) { noise } else { -noise });
        let slice = |(busy, wobble): (&[f64; 2], f64)| Slice {
            seconds: 0.03,
            joules: (1.0 * 0.03 + 3.0 * busy[0] + 6.0 * busy[1]) * (1.0 + wobble),
            busy_s: busy.to_vec(),
        };
        mix.iter().zip(wobble).map(slice).collect()
    }

    #[test]
    fn segments_are_told_apart_where_the_exits_differ() {
        let mix = [[0.005, 0.0], [0.005, 0.01], [0.006, 0.0], [0.004, 0.012]].repeat(5);
        let found = powers(&slices(&mix, 0.005), 2, 2.0, Told::Segments);
        assert_eq!(found.told, Told::Segments);
        assert!((found.idle_w - 1.0).abs() < 0.3, "{found:?}");
        assert!((found.segment_w[0] - 4.0).abs() < 1.0, "{found:?}");
        assert!((found.segment_w[1] - 7.0).abs() < 0.7, "{found:?}");
    }

    #[test]
    fn what_cannot_be_told_is_not_made_up() {
        // All frames alike: nothing differs.
        let alike = powers(&slices(&[[0.005, 0.01]; 20], 0.0), 2, 2.0, Told::Segments);
        assert_eq!(alike.told, Told::Whole);
        assert!(alike.segment_w == [2.0, 2.0] && alike.idle_w == 2.0);
        // Too few.
        let few = powers(
            &slices(&[[0.005, 0.0], [0.005, 0.01]], 0.0),
            2,
            2.0,
            Told::Segments,
        );
        assert_eq!(few.told, Told::Whole);
        // The second segment always goes with the first: work and rest alone differ.
        let pairs: Vec<[f64; 2]> = (1..20)
            .map(|i| [f64::from(i) * 1e-3, f64::from(i) * 1e-3])
            .collect();
        let busy = powers(&slices(&pairs, 0.001), 2, 2.0, Told::Segments);
        assert_eq!(busy.told, Told::Busy);
    }
}
