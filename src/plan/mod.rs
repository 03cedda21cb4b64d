//! Which clocks, for which segment: what each clock point costs, and how to find
//! the cheapest one within a latency cap with few measurements.
//!
//! Guarantees: the same inputs and the same seed give the same choices on every
//! machine (integer random numbers, `libm` in place of the platform's
//! mathematics). Nothing here touches a clock, a sensor or the network.
//!
//! Layers, each knowing only those before it: [`point`] and [`space`] (where one
//! may measure), [`cost`] and [`grid`] (what was measured), [`search`] (where to
//! measure next), [`trial`] (how well a search does on a recorded grid),
//! [`planner`] (which point for which segment), [`belief`] (which frames to
//! expect), [`changes`] (how long clocks take to change), [`mod@file`] (the plan as it
//! is kept), [`make`] (the one from the others).

pub mod belief;
pub mod changes;
pub mod cost;
pub mod file;
pub mod grid;
pub mod make;
pub mod planner;
pub mod point;
pub mod random;
pub mod search;
pub mod space;
mod table;
pub mod trial;

pub use grid::Grid;
pub use point::{Axis, ClockPoint};
pub use space::Space;
