//! **e4** runs an early-exit CNN on a stream of frames in real time and, where
//! the board allows it, at the clocks that cost the least energy.
//!
//! A frame goes source -> tensor -> engine segment -> gate, and leaves at the
//! first exit point whose gate finds the evidence good enough.
//!
//! Modules point downwards only: `cli` -> `pipeline` -> stages -> devices.
//!
//! Under `--cfg loom` only the hand-offs between threads are compiled, to be
//! model-checked: `RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo
//! test --release --lib loom_`.

#[cfg(not(loom))]
pub mod board;
#[cfg(not(loom))]
pub mod cli;
#[cfg(not(loom))]
pub mod clocks;
#[cfg(not(loom))]
pub mod config;
#[cfg(not(loom))]
pub mod doctor;
#[cfg(not(loom))]
pub mod dvfs;
#[cfg(not(loom))]
pub mod engine;
#[cfg(not(loom))]
pub mod gates;
pub mod handoff;
mod input;
pub mod monotonic;
#[cfg(not(loom))]
pub mod pipeline;
#[cfg(not(loom))]
pub mod plan;
#[cfg(not(loom))]
pub mod power;
#[cfg(not(loom))]
pub mod profile;
#[cfg(not(loom))]
pub mod rt;
#[cfg(not(loom))]
pub mod sim;
#[cfg(not(loom))]
pub mod source;
pub mod stop;
pub mod sync;
#[cfg(not(loom))]
pub mod telemetry;
pub mod tensor;

#[cfg(not(loom))]
pub use config::Config;
#[cfg(not(loom))]
pub use pipeline::Pipeline;
