//! Stages on pinned threads, joined by lock-free rings: the main path of a frame.
//!
//! ```text
//! capture -ring or mailbox-> infer <-rings-> gate -ring-> sink
//!    ^------- free slots ------'
//! ```
//!
//! Guarantees: every captured frame ends as exactly one of result or dropped
//! with a counted reason; after warm-up no thread allocates, takes a lock or
//! faults for a frame (the native engine included; what tract does inside a run is
//! its own matter); a raised [`Stop`] drains what is under way and ends the run; a stage that makes no
//! progress for longer than the watchdog's time ends the run with its name, and
//! what had been achieved until then is in [`Ended`].
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

mod auto;
mod capture;
mod configured;
mod dvfs;
mod dvfs_setup;
mod energy;
mod gate;
mod host;
mod infer;
mod loops;
mod notices;
pub mod placement;
mod rhythm;
mod run;
pub mod sampler;
pub mod sink;
mod supervise;
mod targets;
mod threads;

pub use crate::handoff::{
    ArrivalPredictor, GUARD_NS, HopRx, HopTx, MailboxRx, MailboxTx, Notifier, Received, SendError,
    UnknownStrategy, Until, WaitStrategy, Waiter, hop, mailbox, predict, strategy, wait,
};
pub use crate::stop::{self, Stop};

pub use auto::FrameTap;
pub use capture::Damage;
pub use configured::{SetupError, bundle_path, clip_options, engine, power_wish};
pub use dvfs::{Dvfs, DvfsTask};
pub use dvfs_setup::{DvfsError, examine};
pub use energy::RunEnergy;
pub use placement::{Placement, PlacementError, Stage, ThreadPlan};
pub use run::{Ended, Finished, OnError, Pipeline, PipelineError, Policy, ResultSink};
pub use sink::{Sink, SinkSetup, SinkWatch};
pub use targets::Overwrites;
