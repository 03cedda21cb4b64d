//! A board without the board: the controller, planner, beliefs and counters of
//! `e4 run` on a simulated board, in virtual time, beside the methods of others.
//!
//! Only the clock, the sensor and the engine are simulated ([`crate::board`]); where
//! frames leave comes from traces of real runs ([`trace`]), each
//! method using only a trace of its own exit policy. Every figure is *simulated* and
//! marked with what its board rests on.
//!
//! Guarantees: the same inputs and the same seed give the same bytes on every
//! machine; no exit is invented, no frame skipped. Not in it: making the tensor, the
//! camera, other load on the board, what the methods themselves cost a CPU. Cost:
//! over 100,000 frames a second and core (SPECIFICATION.md).

mod clocks;
mod methods;
mod outcome;
pub mod peers;
pub mod planned;
mod scene;
mod stream;
pub mod survey;
pub mod table;
pub mod trace;

pub use methods::{MethodName, NeedsTrace, Run, SimError, Simulated, simulate};
pub use outcome::{Figures, Outcome, Search};
pub use scene::{Prepared, Scene};
pub use stream::{Method, Pace, Stream, Untouched};

#[cfg(test)]
mod tests;
