//! Stages on pinned threads, joined by lock-free rings: the main path of a frame.
//!
//! ```text
//! capture -ring or mailbox-> infer <-rings-> gate -ring-> sink
//!    ^------- free slots ------'
//! ```
//!
//! Guarantees: every captured frame ends as exactly one of result or dropped
//! with a counted reason; after warm-up no thread allocates, locks or faults for
//! a frame (the inside of the engine's run is the engine's own matter); a raised
//! [`Stop`] drains what is under way and ends the run; a stage that makes no
//! progress for longer than the watchdog's time ends the run with its name.
//!
//! Not guaranteed: that every frame of a live source is captured, or that a
//! captured one is inferred on; under [`Policy::Newest`] the older of two
//! waiting frames is dropped and counted `superseded`.
//!
//! Cost: a hand-off between threads is a ring push and, where the consumer
//! sleeps, a wake-up; fused stages hand off by a call.
//!
//! ```
//! use e4::engine::{bundle::Bundle, cpu::CpuEngine};
//! use e4::gates::{ExitPolicy, Gates};
//! use e4::pipeline::{Pipeline, Placement, Stop};
//! use e4::source::generator::{CameraOptions, Generator};
//! use e4::telemetry::FrameResult;
//!
//! let bundle = Bundle::open("engines/tiny-e2")?;
//! let gates = Gates::open(&bundle, ExitPolicy::Gates)?;
//! let camera = Generator::new(CameraOptions { frames: Some(8), live: false, ..Default::default() })?;
//! let print = |result: &FrameResult| {
//!     println!("frame {} left at exit {}", result.frame, result.exit + 1);
//!     true
//! };
//! let finished = Pipeline::new(Box::new(camera), Box::new(CpuEngine::new()), bundle, gates, print)
//!     .placement(Placement::fused())
//!     .run(&Stop::new())?;
//! assert_eq!(finished.drops.captured(), 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// The hand-offs: under `--cfg loom` these alone are compiled and model-checked.
mod futex;
pub mod hop;
pub mod mailbox;
#[cfg(all(test, loom))]
mod models;
pub mod predict;
mod ring;
pub mod strategy;
pub mod wait;
mod wake;

#[cfg(not(loom))]
mod capture;
#[cfg(not(loom))]
mod configured;
#[cfg(not(loom))]
mod gate;
#[cfg(not(loom))]
mod host;
#[cfg(not(loom))]
mod infer;
#[cfg(not(loom))]
mod loops;
#[cfg(not(loom))]
pub mod placement;
#[cfg(not(loom))]
mod rhythm;
#[cfg(not(loom))]
mod run;
#[cfg(not(loom))]
pub mod sampler;
#[cfg(not(loom))]
pub mod sink;
pub mod stop;
#[cfg(not(loom))]
mod targets;
#[cfg(not(loom))]
mod threads;

pub use hop::{HopRx, HopTx, Received, SendError, hop};
pub use mailbox::{MailboxRx, MailboxTx, mailbox};
pub use predict::ArrivalPredictor;
pub use stop::Stop;
pub use strategy::{UnknownStrategy, WaitStrategy};
pub use wait::{GUARD_NS, Notifier, Until, Waiter};

#[cfg(not(loom))]
pub use capture::Damage;
#[cfg(not(loom))]
pub use configured::SetupError;
#[cfg(not(loom))]
pub use placement::{Placement, PlacementError, Stage, ThreadPlan};
#[cfg(not(loom))]
pub use run::{Finished, OnError, Pipeline, PipelineError, Policy, ResultSink};
#[cfg(not(loom))]
pub use sink::{Sink, SinkSetup};
#[cfg(not(loom))]
pub use targets::Overwrites;
