//! A plan made ready for the thread that executes it: levels instead of clocks, and
//! room for what it will learn, so that executing it allocates nothing.

use super::AXES;
use super::window::{Spread, Window};
use crate::plan::Axis;
use crate::plan::belief::Tracker;
use crate::plan::file::{PlanFile, PlannedPoint};

/// A level of each axis; that of an absent axis means nothing.
pub type Levels = [u16; AXES];

/// What a segment runs at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// One level an axis.
    pub levels: Levels,
    /// Whether the change to it is issued ahead.
    pub ahead: bool,
    /// Place of its segment and levels among the windows.
    window: u16,
}

/// Why a plan is not one for this run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It was made for other weights.
    #[error(
        "it is for the bundle {bundle} with the digest {found}, not for the one that runs ({expected}); make one for that with `e4 plan`"
    )]
    Bundle {
        /// Its bundle's name.
        bundle: String,
        /// Its digest.
        found: String,
        /// The digest of the bundle that runs.
        expected: String,
    },
    /// It was made for another board.
    #[error(
        "it is for the board {found}, and this one is {expected}; make one for that with `e4 plan`, or name the board with --board"
    )]
    Board {
        /// Its board.
        found: String,
        /// The board that runs.
        expected: String,
    },
    /// It has another number of segments.
    #[error("it has {found} segments, the bundle {expected}")]
    Segments {
        /// Those of the plan.
        found: usize,
        /// Those of the bundle.
        expected: usize,
    },
    /// A clock is not one of the board's.
    #[error("{key} = {khz} is no clock of this board, which has {has}")]
    OffTable {
        /// The key.
        key: &'static str,
        /// Its clock.
        khz: u32,
        /// The board's clocks.
        has: String,
    },
    /// The board has not one of its axes.
    #[error("it sets none of the clocks that can be set here")]
    NoAxis,
    /// More than fits.
    #[error("it has more beliefs or segments than can be followed")]
    TooLarge,
}

/// A plan for one board and bundle, with what it learns.
#[derive(Clone, Debug)]
pub struct StagePlan {
    segments: usize,
    axes: [bool; AXES],
    missing: Vec<&'static str>,
    turns: Vec<Turn>,
    idle: Option<Levels>,
    /// What tells which belief holds.
    pub tracker: Tracker,
    /// Times of each segment at each of its points ...
    at_point: Vec<Window>,
    /// ... and at whichever.
    at_any: Vec<Window>,
}

impl StagePlan {
    /// `file` for a board with these tables.
    ///
    /// # Errors
    /// When it is for another bundle or board.
    pub fn new(
        file: &PlanFile,
        digest: &str,
        segments: usize,
        tables: &[Vec<u32>; AXES],
    ) -> Result<Self, PlanError> {
        if !file.bundle_sha256.eq_ignore_ascii_case(digest) {
            return Err(PlanError::Bundle {
                bundle: file.bundle.clone(),
                found: file.bundle_sha256.clone(),
                expected: digest.to_owned(),
            });
        }
        let first = file.beliefs.first().map_or(0, |b| b.segments.len());
        if first != segments || segments == 0 {
            return Err(PlanError::Segments {
                found: first,
                expected: segments,
            });
        }
        Self::compile(file, segments, tables)
    }

    fn compile(
        file: &PlanFile,
        segments: usize,
        tables: &[Vec<u32>; AXES],
    ) -> Result<Self, PlanError> {
        let planned = file.beliefs[0].segments[0].point().khz();
        let axes: [bool; AXES] =
            std::array::from_fn(|axis| planned[axis] > 0 && !tables[axis].is_empty());
        if !axes.contains(&true) {
            return Err(PlanError::NoAxis);
        }
        let missing = Axis::ALL.into_iter().filter(|axis| {
            let at = axis.index();
            planned[at] > 0 && !axes[at]
        });
        let missing = missing.map(Axis::column).collect();
        let levels = |point: &PlannedPoint| levels(point, axes, tables);
        let mut keys: Vec<(usize, Levels)> = Vec::new();
        let mut turns = Vec::with_capacity(file.beliefs.len() * segments);
        for belief in &file.beliefs {
            for (k, point) in belief.segments.iter().enumerate() {
                let key = (k, levels(point)?);
                let known = keys.iter().position(|other| *other == key);
                let window = known.unwrap_or_else(|| {
                    keys.push(key);
                    keys.len() - 1
                });
                turns.push(Turn {
                    levels: key.1,
                    ahead: point.ahead,
                    window: u16::try_from(window).map_err(|_| PlanError::TooLarge)?,
                });
            }
        }
        Ok(Self {
            segments,
            axes,
            missing,
            turns,
            idle: file.idle.as_ref().map(levels).transpose()?,
            tracker: Tracker::new(file.beliefs()),
            at_point: vec![Window::default(); keys.len()],
            at_any: vec![Window::default(); segments],
        })
    }

    /// Segments of the bundle.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// The axes that it sets.
    #[must_use]
    pub fn axes(&self) -> [bool; AXES] {
        self.axes
    }

    /// Keys of the axes that it would set and the board has not.
    #[must_use]
    pub fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    /// What segment `k` runs at under a belief.
    #[must_use]
    pub fn turn(&self, belief: usize, k: usize) -> Turn {
        self.turns[belief * self.segments + k]
    }

    /// The highest level of an axis at which anything runs or waits.
    #[must_use]
    pub fn highest(&self, axis: usize) -> u16 {
        let turns = self.turns.iter().map(|turn| turn.levels[axis]);
        let idle = self.idle.map(|levels| levels[axis]);
        turns.chain(idle).max().unwrap_or(0)
    }

    /// Where the board waits between frames.
    #[must_use]
    pub fn idle(&self) -> Option<Levels> {
        self.idle
    }

    /// Learns how long a segment took; at its own point only where all of it ran
    /// as planned.
    pub fn learn(&mut self, belief: usize, k: usize, ns: u64, as_planned: bool) {
        if as_planned {
            let window = usize::from(self.turn(belief, k).window);
            self.at_point[window].add(ns);
        }
        self.at_any[k].add(ns);
    }

    /// How long a segment takes, of at least `least` times.
    #[must_use]
    pub fn time(&self, belief: usize, k: usize, least: usize) -> Option<Spread> {
        let own = &self.at_point[usize::from(self.turn(belief, k).window)];
        own.spread(least)
    }

    /// How long a segment takes, at whichever point where its own is not known.
    #[must_use]
    pub fn rough_time(&self, belief: usize, k: usize) -> Option<Spread> {
        const FEW: usize = 4;
        self.time(belief, k, FEW)
            .or_else(|| self.at_any[k].spread(FEW))
    }

    /// Its points mean other clocks from now on: limits have changed.
    pub fn forget_points(&mut self) {
        self.at_point.iter_mut().for_each(Window::clear);
    }

    /// Takes over what another plan for the same bundle knows whatever its points.
    pub fn inherit(&mut self, other: &Self) {
        for (mine, theirs) in self.at_any.iter_mut().zip(&other.at_any) {
            mine.clone_from(theirs);
        }
    }
}

fn levels(
    point: &PlannedPoint,
    axes: [bool; AXES],
    tables: &[Vec<u32>; AXES],
) -> Result<Levels, PlanError> {
    let khz = point.point().khz();
    let mut levels = [0; AXES];
    for axis in Axis::ALL {
        let at = axis.index();
        if !axes[at] {
            continue;
        }
        let found = tables[at].binary_search(&khz[at]).ok();
        let level = found.and_then(|level| u16::try_from(level).ok());
        levels[at] = level.ok_or_else(|| {
            let has: Vec<String> = tables[at].iter().map(u32::to_string).collect();
            PlanError::OffTable {
                key: axis.column(),
                khz: khz[at],
                has: has.join(", "),
            }
        })?;
    }
    Ok(levels)
}
