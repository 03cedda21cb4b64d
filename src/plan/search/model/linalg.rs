//! Small dense linear algebra: Cholesky and non-negative least squares.
//!
//! For matrices of at most a few dozen rows; no blocking, no pivoting.

/// Lower Cholesky factor of a symmetric positive definite matrix, by rows:
/// entry (i, j), j <= i, is at `i (i + 1) / 2 + j`.
#[derive(Clone, Debug, Default)]
pub struct Cholesky {
    n: usize,
    lower: Vec<f64>,
}

fn row(i: usize) -> usize {
    i * (i + 1) / 2
}

impl Cholesky {
    /// Factors the matrix of which `entry(i, j)`, j <= i, gives the lower half.
    /// A pivot that is not above `floor` is set to it, so that there is always an
    /// answer.
    #[must_use]
    pub fn new(n: usize, floor: f64, entry: impl Fn(usize, usize) -> f64) -> Self {
        let mut factor = Self {
            n,
            lower: vec![0.0; row(n)],
        };
        for i in 0..n {
            for j in 0..=i {
                let (head, tail) = factor.lower.split_at_mut(row(i));
                let own = &mut tail[..=i];
                let rest = match j == i {
                    true => entry(i, i) - own[..i].iter().map(|v| v * v).sum::<f64>(),
                    false => {
                        let other = &head[row(j)..row(j) + j];
                        entry(i, j) - dot(&own[..j], other)
                    }
                };
                own[j] = match j == i {
                    true => rest.max(floor).sqrt(),
                    false => rest / head[row(j) + j],
                };
            }
        }
        factor
    }

    /// Solves L x = b in place.
    pub fn forward(&self, b: &mut [f64]) {
        for i in 0..self.n {
            let own = &self.lower[row(i)..=row(i) + i];
            b[i] = (b[i] - dot(&own[..i], &b[..i])) / own[i];
        }
    }

    /// Solves L' x = b in place.
    pub fn backward(&self, b: &mut [f64]) {
        for i in (0..self.n).rev() {
            let own = &self.lower[row(i)..=row(i) + i];
            b[i] /= own[i];
            let x = b[i];
            for (value, l) in b[..i].iter_mut().zip(&own[..i]) {
                *value -= l * x;
            }
        }
    }

    /// Logarithm of the matrix's determinant.
    #[must_use]
    pub fn log_determinant(&self) -> f64 {
        (0..self.n)
            .map(|i| 2.0 * libm::log(self.lower[row(i) + i]))
            .sum()
    }

    /// The factor's row `i`, with its diagonal entry last.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f64] {
        &self.lower[row(i)..=row(i) + i]
    }
}

/// Dot product of slices of one length.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Least squares with coefficients that are not negative: minimises
/// |A x - b|^2 + |ridge x|^2 after scaling A's columns to norm 1 (Lawson and
/// Hanson's active set). `columns` are A's columns.
#[must_use]
pub fn nnls(columns: &[Vec<f64>], b: &[f64], ridge: f64) -> Vec<f64> {
    let k = columns.len();
    let norm = |c: &Vec<f64>| dot(c, c).sqrt().max(1e-300);
    let norms: Vec<f64> = columns.iter().map(norm).collect();
    let gram = |i: usize, j: usize| {
        let scaled = dot(&columns[i], &columns[j]) / (norms[i] * norms[j]);
        scaled + if i == j { ridge * ridge } else { 0.0 }
    };
    let gram: Vec<Vec<f64>> = (0..k)
        .map(|i| (0..k).map(|j| gram(i, j)).collect())
        .collect();
    let target: Vec<f64> = (0..k).map(|i| dot(&columns[i], b) / norms[i]).collect();
    let x = active_set(&gram, &target);
    x.iter().zip(&norms).map(|(x, norm)| x / norm).collect()
}

/// Minimises x' G x / 2 - t' x over x >= 0, for G positive definite.
fn active_set(gram: &[Vec<f64>], target: &[f64]) -> Vec<f64> {
    let k = target.len();
    let mut x = vec![0.0; k];
    let mut free: Vec<usize> = Vec::new();
    for _ in 0..4 * k {
        let slope = |i: usize| target[i] - dot(&gram[i], &x);
        let steepest = (0..k)
            .filter(|i| !free.contains(i))
            .map(|i| (i, slope(i)))
            .fold(
                (k, 1e-10),
                |best, (i, s)| if s > best.1 { (i, s) } else { best },
            );
        if steepest.0 == k {
            break;
        }
        free.push(steepest.0);
        settle(gram, target, &mut free, &mut x);
    }
    x
}

/// Moves to the minimum over the free coefficients, dropping those that would
/// become negative on the way.
fn settle(gram: &[Vec<f64>], target: &[f64], free: &mut Vec<usize>, x: &mut [f64]) {
    while !free.is_empty() {
        let factor = Cholesky::new(free.len(), 1e-14, |i, j| gram[free[i]][free[j]]);
        let mut goal: Vec<f64> = free.iter().map(|i| target[*i]).collect();
        factor.forward(&mut goal);
        factor.backward(&mut goal);
        let step = |(i, goal): (&usize, &f64)| match *goal > 0.0 {
            true => 1.0,
            false => x[*i] / (x[*i] - goal).max(1e-300),
        };
        let reach = free.iter().zip(&goal).map(step).fold(1.0, f64::min);
        for (i, goal) in free.iter().zip(&goal) {
            x[*i] += reach * (goal - x[*i]);
        }
        if reach >= 1.0 {
            return;
        }
        free.retain(|i| {
            let stays = x[*i] > 1e-14;
            if !stays {
                x[*i] = 0.0;
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_factor_solves_and_knows_the_determinant() {
        let a = [[4.0, 2.0, 0.4], [2.0, 5.0, 1.0], [0.4, 1.0, 3.0]];
        let factor = Cholesky::new(3, 0.0, |i, j| a[i][j]);
        let x = [1.0, -2.0, 0.5];
        let mut b: Vec<f64> = a.iter().map(|row| dot(row, &x)).collect();
        factor.forward(&mut b);
        factor.backward(&mut b);
        assert!(b.iter().zip(x).all(|(b, x)| (b - x).abs() < 1e-12), "{b:?}");
        let determinant = 4.0 * (15.0 - 1.0) - 2.0 * (6.0 - 0.4) + 0.4 * (2.0 - 2.0);
        assert!((factor.log_determinant() - f64::ln(determinant)).abs() < 1e-12);
    }

    #[test]
    fn coefficients_that_would_be_negative_are_zero() {
        let columns = [vec![1.0, 0.0, 1.0], vec![0.0, 1.0, 1.0]];
        let x = nnls(&columns, &[2.0, -1.0, 1.0], 0.0);
        assert!((x[0] - 1.5).abs() < 1e-9 && x[1] == 0.0, "{x:?}");
        assert!(nnls(&[], &[1.0], 0.1).is_empty());
    }

    proptest! {
        /// Optimality: where x is positive the slope is 0, elsewhere it points down.
        #[test]
        fn the_answer_cannot_be_bettered(
            data in prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, 6), 1..6),
            b in prop::collection::vec(-1.0..1.0_f64, 6),
        ) {
            let x = nnls(&data, &b, 1e-3);
            let rest: Vec<f64> = (0..6)
                .map(|r| b[r] - data.iter().zip(&x).map(|(c, x)| c[r] * x).sum::<f64>())
                .collect();
            for (column, x) in data.iter().zip(&x) {
                let square = dot(column, column);
                let slope = dot(column, &rest) - 1e-6 * square * x;
                prop_assert!(*x >= 0.0);
                prop_assert!(slope <= 1e-6 && (*x == 0.0 || slope >= -1e-6), "{slope} {x}");
            }
        }
    }
}
