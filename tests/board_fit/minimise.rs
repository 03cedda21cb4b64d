//! Least squares by Levenberg and Marquardt's method, small and deterministic.
//!
//! Guarantees: the same inputs give the same parameters on every machine with
//! IEEE 754 arithmetic; the sum of squares never rises; numbers that are not
//! finite end the search, they are never accepted. Not guaranteed: that the
//! minimum is the lowest one, so callers start from several places. Cost: one
//! evaluation of the residuals a parameter and step.

/// A residual for each datum, at some parameters.
pub trait Residuals: Fn(&[f64]) -> Vec<f64> {}
impl<F: Fn(&[f64]) -> Vec<f64>> Residuals for F {}

/// Relative step of the forward differences.
const STEP: f64 = 1e-6;
/// A step that gains less than this share ends the search.
const GAIN: f64 = 1e-9;

/// Parameters near `start` of the least sum of squares, and that sum.
pub fn minimise(residuals: &impl Residuals, start: &[f64], steps: usize) -> (Vec<f64>, f64) {
    let mut at = start.to_vec();
    let mut here = residuals(&at);
    let mut sum = squares(&here);
    let mut damping = 1e-2;
    for _ in 0..steps {
        let columns = jacobian(residuals, &at, &here);
        let Some((next, values)) = step(residuals, &columns, &here, &at, sum, &mut damping) else {
            break;
        };
        let next_sum = squares(&values);
        let gain = sum - next_sum;
        (at, here) = (next, values);
        let done = gain < GAIN * sum;
        sum = next_sum;
        if done {
            break;
        }
    }
    (at, sum)
}

fn squares(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum()
}

/// One column a parameter.
fn jacobian(residuals: &impl Residuals, at: &[f64], here: &[f64]) -> Vec<Vec<f64>> {
    let column = |k: usize| {
        let mut moved = at.to_vec();
        let step = STEP * moved[k].abs().max(1.0);
        moved[k] += step;
        let there = residuals(&moved);
        there
            .iter()
            .zip(here)
            .map(|(t, h)| (t - h) / step)
            .collect()
    };
    (0..at.len()).map(column).collect()
}

/// Damps until a step lowers the sum of squares.
fn step(
    residuals: &impl Residuals,
    columns: &[Vec<f64>],
    here: &[f64],
    at: &[f64],
    sum: f64,
    damping: &mut f64,
) -> Option<(Vec<f64>, Vec<f64>)> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let gradient: Vec<f64> = columns.iter().map(|c| -dot(c, here)).collect();
    let normal: Vec<Vec<f64>> = columns
        .iter()
        .map(|a| columns.iter().map(|b| dot(a, b)).collect())
        .collect();
    while *damping < 1e12 {
        let mut damped = normal.clone();
        for (k, row) in damped.iter_mut().enumerate() {
            row[k] += *damping * (row[k] + 1e-9);
        }
        let moved = solve(damped, gradient.clone());
        let next: Vec<f64> = at
            .iter()
            .zip(&moved)
            .map(|(a, d)| a + d.clamp(-2.0, 2.0))
            .collect();
        let values = residuals(&next);
        if squares(&values) < sum {
            *damping = (*damping * 0.3).max(1e-9);
            return Some((next, values));
        }
        *damping *= 4.0;
    }
    None
}

/// Gaussian elimination with partial pivoting; a singular column counts as 0.
fn solve(mut rows: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for k in 0..n {
        let pivot = (k..n).fold(k, |best, r| {
            if rows[r][k].abs() > rows[best][k].abs() {
                r
            } else {
                best
            }
        });
        rows.swap(k, pivot);
        right.swap(k, pivot);
        if rows[k][k].abs() < f64::MIN_POSITIVE {
            continue;
        }
        for r in k + 1..n {
            let factor = rows[r][k] / rows[k][k];
            let (above, below) = rows.split_at_mut(r);
            let columns = below[0][k..].iter_mut().zip(&above[k][k..]);
            columns.for_each(|(low, high)| *low -= factor * high);
            right[r] -= factor * right[k];
        }
    }
    let mut found = vec![0.0; n];
    for k in (0..n).rev() {
        let rest: f64 = (k + 1..n).map(|c| rows[k][c] * found[c]).sum();
        if rows[k][k].abs() >= f64::MIN_POSITIVE {
            found[k] = (right[k] - rest) / rows[k][k];
        }
    }
    found
}
