//! Executes a plan of clocks on a stream of frames: the next point is asked for so
//! early that it is in effect when its segment starts.
//!
//! Glossary. *Axis*: CPU, GPU or memory clock. *Level*: a place in an axis's table
//! of rising clocks. *Point*: a level of each axis. *Turn*: the point that the plan
//! wants for a segment, and whether it is issued ahead. *Home*: the point of the
//! first segment, where every frame begins. *Lead*: how long before it is needed a
//! change is issued; the time that it takes, as measured. *Staged*: in effect as
//! its segment starts. *Late*: issued, in effect later. *Folded*: never issued,
//! because it would not have been in effect in time. *Wait*: from a frame's exit to
//! the next frame's first segment.
//!
//! Who owns what: [`Controller`] owns all decisions and is a state machine whose
//! only time is what it is told, so that a simulation executes the very code that
//! runs on boards. [`StagePlan`] owns the plan and the times of segments,
//! [`Leads`] those of transitions, a [`Board`] the clocks. [`Counters`] are written
//! by the controller and read by anyone.
//!
//! Guarantees: nothing is allocated after the start; one change an axis is under
//! way at a time and never disturbed; a raise is issued for the shortest its
//! segment takes and the longest the change takes, a lowering so that it does not
//! slow the segment before it down; what heat, firmware or others hold down is not
//! asked for; a refused wish is not repeated for a second.
//!
//! Not guaranteed: that a change is in effect in time. Where both segment and
//! transition vary, no time to issue a lowering serves both neighbours; the earlier
//! segment then goes first, and the lowering is late.
//!
//! Cost: a microsecond an event, and what the board takes for each change.

mod axis;
mod board;
mod controller;
mod counters;
mod leads;
mod plan;
mod real;
mod steps;
#[cfg(test)]
mod tests;
mod window;

pub use board::{Answer, Board, State, tables};
pub use controller::{Controller, Event, EventKind};
pub use counters::{Count, Counters, Trouble};
pub use leads::{Leads, Way};
pub use plan::{Levels, PlanError, StagePlan, Turn};
pub use real::Clocks;
pub use window::{Spread, Window};

use crate::plan::Axis;

/// CPU, GPU and memory.
pub const AXES: usize = Axis::ALL.len();
