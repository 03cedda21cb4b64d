//! What the planner is told: the costs of a board and what a frame demands.

/// Why a table cannot be planned with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CostsError {
    /// A list is not as long as the others say.
    #[error("{list} holds {found} numbers, not {expected}")]
    Length {
        /// Which list.
        list: &'static str,
        /// What it holds.
        found: usize,
        /// What it has to hold.
        expected: usize,
    },
    /// A number is negative, infinite or none.
    #[error("{list} number {index} is not a finite number of at least 0")]
    Number {
        /// Which list.
        list: &'static str,
        /// Position in it.
        index: usize,
    },
    /// A segment takes no time at all.
    #[error("latency_s number {index} is 0: a segment takes time")]
    NoTime {
        /// Position in the list.
        index: usize,
    },
    /// Neither segments nor points can be none at all.
    #[error("a plan needs at least one segment and one clock point")]
    Empty,
    /// The exit shares are no probabilities.
    #[error("the exit shares add up to {sum}, not to 1")]
    Shares {
        /// Their sum, as text.
        sum: String,
    },
}

/// Costs of a board for one bundle: `K` segments at `P` clock points.
///
/// Rows are segments, so entry `k * P + p` is segment `k` at point `p`; the
/// change tables are `P * P`, from row to column.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    pub(super) segments: usize,
    pub(super) points: usize,
    pub(super) latency_s: Vec<f64>,
    pub(super) energy_j: Vec<f64>,
    pub(super) change_s: Vec<f64>,
    pub(super) change_j: Vec<f64>,
    /// Least energy from a point to another by any number of changes.
    pub(super) way_j: Vec<f64>,
    pub(super) idle_w: Vec<f64>,
    pub(super) idle_point: usize,
    pub(super) may_idle: bool,
}

impl Costs {
    /// Costs from their tables. The latency is the one to plan with: mean and
    /// as many spreads as the deadline is worth. `idle_w` is the power of a board
    /// that waits at a point. A point that may not be used (a cap) has no row.
    ///
    /// # Errors
    /// When the tables do not fit each other or hold a negative or no number.
    pub fn new(
        segments: usize,
        points: usize,
        latency_s: Vec<f64>,
        energy_j: Vec<f64>,
        idle_w: Vec<f64>,
    ) -> Result<Self, CostsError> {
        if segments == 0 || points == 0 {
            return Err(CostsError::Empty);
        }
        check("latency_s", &latency_s, segments * points)?;
        if let Some(index) = latency_s.iter().position(|s| *s == 0.0) {
            return Err(CostsError::NoTime { index });
        }
        check("energy_j", &energy_j, segments * points)?;
        check("idle_w", &idle_w, points)?;
        let idle_point = least(&idle_w);
        let free = vec![0.0; points * points];
        Ok(Self {
            segments,
            points,
            latency_s,
            energy_j,
            change_s: free.clone(),
            change_j: free.clone(),
            way_j: free,
            idle_w,
            idle_point,
            may_idle: true,
        })
    }

    /// The same with what it takes to go from each point to each other; the
    /// diagonals are taken as 0.
    ///
    /// # Errors
    /// As [`Costs::new`].
    pub fn with_changes(
        mut self,
        mut change_s: Vec<f64>,
        mut change_j: Vec<f64>,
    ) -> Result<Self, CostsError> {
        let pairs = self.points * self.points;
        check("change_s", &change_s, pairs)?;
        check("change_j", &change_j, pairs)?;
        for p in 0..self.points {
            change_s[p * self.points + p] = 0.0;
            change_j[p * self.points + p] = 0.0;
        }
        self.way_j = cheapest_ways(&change_j, self.points);
        (self.change_s, self.change_j) = (change_s, change_j);
        Ok(self)
    }

    /// The same without the stretches that draw more than `watts`: a battery's
    /// limit. They count as never finishing.
    #[must_use]
    pub fn within_power(mut self, watts: f64) -> Self {
        for (latency_s, energy_j) in self.latency_s.iter_mut().zip(&self.energy_j) {
            if *energy_j > watts * *latency_s {
                *latency_s = f64::INFINITY;
            }
        }
        self
    }

    /// The same for a board that does not go to its idle point between frames.
    #[must_use]
    pub fn without_idle_point(mut self) -> Self {
        self.may_idle = false;
        self
    }

    /// Segments of the network.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Clock points of the table.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points
    }

    /// Where a board draws least while it waits.
    #[must_use]
    pub fn idle_point(&self) -> usize {
        self.idle_point
    }

    pub(super) fn latency(&self, segment: usize, point: usize) -> f64 {
        self.latency_s[segment * self.points + point]
    }

    pub(super) fn energy(&self, segment: usize, point: usize) -> f64 {
        self.energy_j[segment * self.points + point]
    }

    pub(super) fn change(&self, from: usize, to: usize) -> (f64, f64) {
        let pair = from * self.points + to;
        (self.change_s[pair], self.change_j[pair])
    }
}

/// What a frame demands: when it has to be done, and where frames leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    pub(super) exit_share: Vec<f64>,
    pub(super) reach: Vec<f64>,
    pub(super) interval_s: f64,
    pub(super) deadline_s: f64,
}

impl Demand {
    /// Frames that leave at exit point `k` with probability `exit_share[k]` and
    /// come every `interval_s`. A deadline beyond the interval counts as the
    /// interval: the next frame needs the board.
    ///
    /// # Errors
    /// When the shares are not probabilities or a time is no number.
    pub fn new(exit_share: Vec<f64>, interval_s: f64, deadline_s: f64) -> Result<Self, CostsError> {
        check("exit_share", &exit_share, exit_share.len())?;
        check("interval_s and deadline_s", &[interval_s, deadline_s], 2)?;
        let sum: f64 = exit_share.iter().sum();
        if (sum - 1.0).abs() > 1e-6 {
            let sum = sum.to_string();
            return Err(CostsError::Shares { sum });
        }
        let mut reach: Vec<f64> = exit_share
            .iter()
            .rev()
            .scan(0.0, |tail, share| {
                *tail += share;
                Some(*tail)
            })
            .collect();
        reach.reverse();
        Ok(Self {
            exit_share,
            reach,
            interval_s,
            deadline_s: deadline_s.min(interval_s),
        })
    }
}

impl Demand {
    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline_s: f64) -> Self {
        self.deadline_s = deadline_s.min(self.interval_s);
        self
    }
}

/// Floyd and Warshall's shortest ways.
fn cheapest_ways(change_j: &[f64], points: usize) -> Vec<f64> {
    let mut way_j = change_j.to_vec();
    for via in 0..points {
        let onward = way_j[via * points..][..points].to_vec();
        for row in way_j.chunks_exact_mut(points) {
            let there = row[via];
            for (way, on) in row.iter_mut().zip(&onward) {
                *way = way.min(there + on);
            }
        }
    }
    way_j
}

/// Position of the smallest number, the first of equals.
pub(super) fn least(numbers: &[f64]) -> usize {
    let better = |best: usize, at: usize| {
        if numbers[at] < numbers[best] {
            at
        } else {
            best
        }
    };
    (0..numbers.len()).fold(0, better)
}

fn check(list: &'static str, numbers: &[f64], expected: usize) -> Result<(), CostsError> {
    let found = numbers.len();
    if found != expected {
        return Err(CostsError::Length {
            list,
            found,
            expected,
        });
    }
    match numbers.iter().position(|n| !n.is_finite() || *n < 0.0) {
        Some(index) => Err(CostsError::Number { list, index }),
        None => Ok(()),
    }
}
