//! The seam: clocks, segments, power and time as the profiler needs them, real or
//! simulated.

use crate::plan::ClockPoint;
use crate::power::Figure;

/// What runs during a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A segment with its exit's head, again and again.
    Segment(usize),
    /// Nothing: the board waits.
    Idle,
}

/// A stretch of time during which one thing ran.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stretch {
    /// Its start ([`Rig::now_ns`]).
    pub from_ns: u64,
    /// Its end.
    pub to_ns: u64,
    /// Whole runs; 0 where nothing ran.
    pub runs: u32,
    /// Sum of their times, s.
    pub sum_s: f64,
    /// Sum of the squares of their times, s^2.
    pub squares_s2: f64,
}

/// What became of a wish for clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// They are in effect, or taken where the hardware does not show its clock.
    There,
    /// Others hold them down.
    Held {
        /// The highest clocks allowed; 0 where nothing limits.
        allowed: ClockPoint,
        /// Who.
        by: String,
    },
    /// They were not taken.
    Refused(String),
}

/// A board with a network on it.
pub trait Rig {
    /// Segments of the network.
    fn segments(&self) -> usize;

    /// Time, ns.
    fn now_ns(&mut self) -> u64;

    /// Asks for clocks and waits until they are in effect, for as long as changes were
    /// measured to take where that cannot be seen.
    fn bring(&mut self, point: ClockPoint) -> Brought;

    /// Whether the clocks that were asked for last still hold.
    fn holds(&mut self) -> Brought;

    /// Does `work` for `ns`, and at least once.
    ///
    /// # Errors
    /// The engine's, in one sentence.
    fn run(&mut self, work: Work, ns: u64) -> Result<Stretch, String>;

    /// Energy of a stretch; none where it was not measured throughout.
    fn energy(&mut self, stretch: &Stretch) -> Option<Figure>;

    /// What readings of the sensor blur over, ns.
    fn window_ns(&self) -> u64;

    /// Why the sensor gave no figure, as far as it is known.
    fn complaint(&self) -> Option<String>;

    /// False once somebody wants it to end.
    fn goes_on(&self) -> bool;
}
