//! Finding a plan while frames flow: probes on live frames inside the deadline's slack,
//! a plan from what they cost, and again where that is no longer true.
//!
//! Glossary. *Probe*: a clock point at which whole frames run for a while. *Slack*: the
//! points at which the slowest frame would still be in time, as far as is known. *Open*:
//! probing; *closed*: following a plan. *Cap*: what heat or others allow now.
//!
//! Who owns what: [`Explorer`] owns all decisions and knows no time but what it is told,
//! no clocks but the plans it asks for and no energy but a [`Meter`]'s, so that a
//! simulation drives the very code that runs on boards. It runs on no frame's way.
//!
//! Guarantees: a point is tried only where no axis's slow-down from a measured one, all
//! of it taken as lost, could make a frame late, and is left at once where frames are
//! late all the same; an opening spends at most its budget of probes; a plan never asks
//! for more than is allowed. Not guaranteed: that segments can be told apart
//! ([`Told`] says how far they could).
//!
//! Cost: a few milliseconds a probe, tens for a plan; it allocates.

mod attribute;
mod explorer;
mod frames;
mod plans;
mod samples;
mod watch;

pub use attribute::Told;
pub use explorer::Explorer;
pub use frames::LiveFrame;

use crate::plan::Space;
use crate::plan::changes::Changes;
use crate::plan::cost::Head;
use crate::plan::file::PlanFile;
use crate::plan::planner::Objective;
use crate::power::Figure;

/// What an explorer is told once.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The clock points of the board.
    pub space: Space,
    /// Multiply-accumulates of each segment with its head: a guess at the times of those
    /// that no frame has come to.
    pub macs: Vec<f64>,
    /// What is to be least.
    pub objective: Objective,
    /// Every frame leaves within it, s; none: the time to the next frame.
    pub deadline_s: Option<f64>,
    /// No segment may draw more, W.
    pub power_cap_w: Option<f64>,
    /// A latency counts as its mean and so many spreads.
    pub spreads: f64,
    /// Probes an opening may spend.
    pub budget: usize,
    /// How long clocks take to change.
    pub changes: Changes,
    /// Board, boundary and bundle.
    pub head: Head,
}

/// Where the energy of a stretch is known from.
pub trait Meter {
    /// Energy from a moment to another; none where it was not measured throughout, or
    /// not yet.
    fn energy(&mut self, from_ns: u64, to_ns: u64) -> Option<Figure>;

    /// What a reading blurs over, ns.
    fn window_ns(&self) -> u64;
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The plan to follow from now on, if it is to be another.
    pub plan: Option<PlanFile>,
    /// What the user should hear.
    pub say: Vec<String>,
}

#[cfg(test)]
mod tests;
