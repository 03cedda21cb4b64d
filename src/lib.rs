//! **e4** runs an early-exit CNN on a stream of frames in real time and, where
//! the board allows it, at the clocks that cost the least energy.
//!
//! A frame goes source -> tensor -> engine segment -> gate, and leaves at the
//! first exit point whose gate finds the evidence good enough.
//!
//! Modules point downwards only: `cli` -> `pipeline` -> stages -> devices.

pub mod cli;
pub mod config;
pub mod engine;
pub mod gates;
pub mod monotonic;
pub mod pipeline;
pub mod rt;
pub mod source;
pub mod sync;
pub mod telemetry;
pub mod tensor;
