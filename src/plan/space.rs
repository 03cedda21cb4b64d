//! The clock points that may be measured: a full grid, one with holes, or what a
//! thermal cap leaves of it.
//!
//! Guarantees: at least one point, no point twice, an axis is there for all
//! points or for none. Cost: memory linear in the points.

use super::point::{Axis, ClockPoint};
use std::collections::HashMap;

/// A set of clock points with its axes.
#[derive(Clone, Debug)]
pub struct Space {
    points: Vec<ClockPoint>,
    levels: [Vec<u32>; 3],
    cells: Vec<[usize; 3]>,
    at: HashMap<[usize; 3], usize>,
}

/// Why points make no space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpaceError {
    /// There is none.
    #[error("there is no clock point")]
    Empty,
    /// A point is there twice; the second's place in the list.
    #[error("clock point {0} is there twice")]
    Twice(usize),
    /// Some points have the axis, this one does not, or the other way round.
    #[error("clock point {point} and the first one do not have the same axes: see {column}", column = axis.column())]
    Mixed {
        /// Place in the list.
        point: usize,
        /// The axis.
        axis: Axis,
    },
}

impl Space {
    /// A space of these points, in this order.
    ///
    /// # Errors
    /// When there is no point, one is there twice, or axes come and go.
    pub fn new(points: Vec<ClockPoint>) -> Result<Self, SpaceError> {
        let first = points.first().ok_or(SpaceError::Empty)?.khz();
        for (place, point) in points.iter().enumerate() {
            let other = |axis: &Axis| {
                let k = axis.index();
                (point.khz()[k] == 0) != (first[k] == 0)
            };
            if let Some(axis) = Axis::ALL.into_iter().find(other) {
                return Err(SpaceError::Mixed { point: place, axis });
            }
        }
        let levels = Axis::ALL.map(|axis| levels(&points, axis));
        let cells: Vec<[usize; 3]> = points.iter().map(|p| cell(&levels, *p)).collect();
        let mut at = HashMap::with_capacity(points.len());
        for (place, cell) in cells.iter().enumerate() {
            if at.insert(*cell, place).is_some() {
                return Err(SpaceError::Twice(place));
            }
        }
        Ok(Self {
            points,
            levels,
            cells,
            at,
        })
    }

    /// Number of points, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a space is never empty")]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// The points.
    #[must_use]
    pub fn points(&self) -> &[ClockPoint] {
        &self.points
    }

    /// Clocks of an axis in kHz, rising; `[0]` for an axis that is not there.
    #[must_use]
    pub fn levels(&self, axis: Axis) -> &[u32] {
        &self.levels[axis.index()]
    }

    /// Place of a point's clocks among the levels, per axis.
    #[must_use]
    pub fn cell(&self, point: usize) -> [usize; 3] {
        self.cells[point]
    }

    /// The point with these levels, where the space has it.
    #[must_use]
    pub fn at(&self, cell: [usize; 3]) -> Option<usize> {
        self.at.get(&cell).copied()
    }

    /// The place of a clock point.
    #[must_use]
    pub fn find(&self, point: ClockPoint) -> Option<usize> {
        let khz = point.khz();
        let mut cell = [0; 3];
        for (k, place) in cell.iter_mut().enumerate() {
            *place = self.levels[k].binary_search(&khz[k]).ok()?;
        }
        self.at(cell)
    }

    /// Clocks over the axis's highest, in (0, 1]; 1 on an axis that is not there.
    #[must_use]
    pub fn relative(&self, point: usize) -> [f64; 3] {
        let khz = self.points[point].khz();
        std::array::from_fn(|k| match self.levels[k].last() {
            Some(&max) if max > 0 => f64::from(khz[k]) / f64::from(max),
            _ => 1.0,
        })
    }

    /// The point nearest to `relative` clocks, in squared relative distance; the
    /// first of equals.
    #[must_use]
    pub fn nearest(&self, relative: [f64; 3]) -> usize {
        let distance = |point: usize| {
            let at = self.relative(point);
            (0..3).map(|k| (at[k] - relative[k]).powi(2)).sum::<f64>()
        };
        let mut best = (0, distance(0));
        for point in 1..self.len() {
            let d = distance(point);
            if d < best.1 {
                best = (point, d);
            }
        }
        best.0
    }

    /// All clocks at their highest, or the point nearest to that.
    #[must_use]
    pub fn top(&self) -> usize {
        self.nearest([1.0; 3])
    }

    /// The places of the points that `keep` accepts, and their space.
    ///
    /// # Errors
    /// When none is left.
    pub fn only(
        &self,
        keep: impl Fn(ClockPoint) -> bool,
    ) -> Result<(Vec<usize>, Self), SpaceError> {
        let kept = |place: &usize| keep(self.points[*place]);
        let places: Vec<usize> = (0..self.len()).filter(kept).collect();
        let space = Self::new(places.iter().map(|p| self.points[*p]).collect())?;
        Ok((places, space))
    }
}

fn levels(points: &[ClockPoint], axis: Axis) -> Vec<u32> {
    let mut levels: Vec<u32> = points.iter().map(|p| p.khz()[axis.index()]).collect();
    levels.sort_unstable();
    levels.dedup();
    levels
}

fn cell(levels: &[Vec<u32>; 3], point: ClockPoint) -> [usize; 3] {
    let khz = point.khz();
    std::array::from_fn(|k| levels[k].partition_point(|level| *level < khz[k]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(points: &[[u32; 3]]) -> Result<Space, SpaceError> {
        Space::new(points.iter().map(|khz| ClockPoint::new(*khz)).collect())
    }

    #[test]
    fn points_are_found_by_clocks_and_by_levels() {
        let space = space(&[[1, 10, 0], [2, 10, 0], [2, 30, 0]]).unwrap();
        assert_eq!(space.levels(Axis::Gpu), [10, 30]);
        assert_eq!(space.levels(Axis::Emc), [0]);
        assert_eq!(space.cell(2), [1, 1, 0]);
        assert_eq!(space.at([0, 1, 0]), None);
        assert_eq!(space.find(ClockPoint::new([2, 30, 0])), Some(2));
        assert_eq!(space.find(ClockPoint::new([2, 30, 1])), None);
        assert_eq!(space.relative(0), [0.5, 1.0 / 3.0, 1.0]);
        assert_eq!(space.top(), 2);
    }

    #[test]
    fn a_hole_at_the_top_is_answered_by_its_neighbour() {
        let space = space(&[[1, 10, 0], [9, 10, 0], [10, 9, 0], [5, 5, 0]]).unwrap();
        assert_eq!(space.top(), 1);
    }

    #[test]
    fn what_is_no_space_is_refused() {
        assert_eq!(space(&[]).unwrap_err(), SpaceError::Empty);
        let twice = [[1, 1, 0], [2, 1, 0], [1, 1, 0]];
        assert_eq!(space(&twice).unwrap_err(), SpaceError::Twice(2));
        let mixed = SpaceError::Mixed {
            point: 1,
            axis: Axis::Emc,
        };
        assert_eq!(space(&[[1, 1, 0], [2, 1, 3]]).unwrap_err(), mixed);
    }

    #[test]
    fn a_thermal_cap_leaves_the_lower_points() {
        let space = space(&[[1, 1, 0], [2, 1, 0], [3, 1, 0]]).unwrap();
        let cap = ClockPoint::new([2, 0, 0]);
        let (places, capped) = space.only(|p| p.is_within(cap)).unwrap();
        assert_eq!(places, [0, 1]);
        assert_eq!(capped.points()[capped.top()].cpu_khz, 2);
        assert!(space.only(|_| false).is_err());
    }
}
