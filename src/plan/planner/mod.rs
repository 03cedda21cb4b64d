//! The planner: which clock point for which segment, while nobody knows yet at
//! which exit the frame will leave.
//!
//! A **policy** is a [`Schedule`]: the clock point of each segment and how the
//! change to it is issued. It is causal (what it does depends on nothing but the
//! frame not having left yet) and it is steady: every frame begins at the
//! *home* point, that of its first segment, so a change that could not be taken
//! back before the next frame begins is not allowed. One function, [`evaluate`],
//! gives the cost of any schedule; the planners only differ in which they choose:
//!
//! - [`best_static`]: one point for all segments;
//! - [`per_exit`]: E4's plan (arXiv 2503.04865), one clock sequence for each exit
//!   point, and [`as_executed`], what becomes of it while the exit is unknown;
//! - [`plan`]: the least expected cost over all schedules, by a dynamic programme
//!   over (segment, clock point in effect, change under way).
//!
//! Guarantees: [`plan`] is exact over all schedules, hence never worse than the
//! best static point or than E4's plan as executed wherever those keep the
//! deadline; the deadline is met in every branch; equal input gives an equal
//! plan. Not guaranteed: that the table is right. Cost: one to some ten
//! milliseconds for 5 segments and 64 points (`cargo bench -- planner`); it allocates.
//!
//! One change is under way at a time, and two changes never share a segment. The
//! kernel's own latency is part of the change's time.

mod bound;
mod costs;
mod exits;
mod labels;
mod objective;
mod schedule;
mod search;
mod step;

#[cfg(test)]
mod tests;

pub use costs::{Costs, CostsError, Demand};
pub use exits::{PerExit, as_executed, per_exit};
pub use objective::{Objective, plan};
pub use schedule::{Infeasible, Outcome, Schedule, Turn, best_static, evaluate};
