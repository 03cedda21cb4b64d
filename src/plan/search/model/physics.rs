//! What physics says about latency and energy over the clocks.
//!
//! With u the clocks over their highest, per axis that the space has:
//!
//! - latency T = a + sum b / u + sum d max(1 / u_i, 1 / u_j): a fixed part, work
//!   bound by one domain, and work of two domains that overlaps;
//! - energy E = p T + w + sum (q T u + r T u^3 + s u^2): always-on power, fixed
//!   work, clock trees at fixed voltage and at a voltage that rises with the
//!   clock (C V^2 f), and work at V^2 an operation.
//!
//! All coefficients are at least 0 (non-negative least squares on the relative
//! error, a trace of ridge), so extrapolation stays physical.

use super::linalg::nnls;
use crate::plan::space::Space;

/// Values of a quantity and of its terms at all points of a space.
#[derive(Clone, Debug)]
pub struct Law {
    /// The value at each point.
    pub values: Vec<f64>,
    /// For each term that is not 0: its share of the value at each point.
    pub shares: Vec<Vec<f64>>,
}

/// The terms' shapes over a space.
#[derive(Clone, Debug)]
pub struct Physics {
    relative: Vec<Vec<f64>>,
    latency: Vec<Vec<f64>>,
    len: usize,
}

/// A measured point: its place, latency or energy, weight.
#[derive(Clone, Copy, Debug)]
pub struct Datum {
    /// Place in the space.
    pub point: usize,
    /// Value, above 0.
    pub value: f64,
    /// Weight of the relative error.
    pub weight: f64,
}

const RIDGE: f64 = 1e-3;

impl Physics {
    /// The terms over a space; axes with one level have none of their own.
    #[must_use]
    pub fn new(space: &Space) -> Self {
        let len = space.len();
        let axes = crate::plan::Axis::ALL
            .into_iter()
            .filter(|axis| space.levels(*axis).len() > 1);
        let relative: Vec<Vec<f64>> = axes
            .map(|axis| (0..len).map(|p| space.relative(p)[axis.index()]).collect())
            .collect();
        let inverse = |u: &Vec<f64>| u.iter().map(|u| 1.0 / u).collect::<Vec<_>>();
        let single: Vec<Vec<f64>> = relative.iter().map(inverse).collect();
        let mut latency = vec![vec![1.0; len]];
        latency.extend(single.iter().cloned());
        for (i, a) in single.iter().enumerate() {
            for b in &single[i + 1..] {
                latency.push(a.iter().zip(b).map(|(a, b)| a.max(*b)).collect());
            }
        }
        Self {
            relative,
            latency,
            len,
        }
    }

    /// Latency everywhere, from some measurements.
    #[must_use]
    pub fn latency(&self, data: &[Datum]) -> Law {
        law(&self.latency, data, self.len)
    }

    /// Energy everywhere, from some measurements and the latency.
    #[must_use]
    pub fn energy(&self, data: &[Datum], latency: &[f64]) -> Law {
        let mut terms = vec![latency.to_vec(), vec![1.0; self.len]];
        for u in &self.relative {
            let pairs = || u.iter().zip(latency);
            terms.push(pairs().map(|(u, t)| t * u).collect());
            terms.push(pairs().map(|(u, t)| t * (u * u * u)).collect());
            terms.push(u.iter().map(|u| u * u).collect());
        }
        law(&terms, data, self.len)
    }
}

fn law(terms: &[Vec<f64>], data: &[Datum], len: usize) -> Law {
    let column = |term: &Vec<f64>| {
        data.iter()
            .map(|d| term[d.point] * d.weight / d.value)
            .collect::<Vec<_>>()
    };
    let columns: Vec<Vec<f64>> = terms.iter().map(column).collect();
    let weights: Vec<f64> = data.iter().map(|d| d.weight).collect();
    let coefficients = nnls(&columns, &weights, RIDGE);
    let mut values = vec![0.0; len];
    let mut shares: Vec<Vec<f64>> = Vec::new();
    for (term, coefficient) in terms.iter().zip(coefficients) {
        if coefficient > 0.0 {
            let part: Vec<f64> = term.iter().map(|v| v * coefficient).collect();
            for (value, part) in values.iter_mut().zip(&part) {
                *value += part;
            }
            shares.push(part);
        }
    }
    if values.iter().any(|v| !v.is_finite() || *v <= 0.0) {
        return constant(data, len);
    }
    for share in &mut shares {
        for (share, value) in share.iter_mut().zip(&values) {
            *share /= value;
        }
    }
    Law { values, shares }
}

/// The law where values are too wild for any other: their geometric mean.
fn constant(data: &[Datum], len: usize) -> Law {
    #[expect(clippy::cast_precision_loss, reason = "few points")]
    let count = data.len().max(1) as f64;
    let mean = data.iter().map(|d| libm::log(d.value)).sum::<f64>() / count;
    Law {
        values: vec![libm::exp(mean); len],
        shares: vec![vec![1.0; len]],
    }
}
