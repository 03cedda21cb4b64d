//! What this host lacks for a run as it is configured, and the command that
//! fixes it.
//!
//! Guarantees: each [`Check`] looks at one thing and depends on nothing that
//! another looks at, so that taking one privilege or node away changes one row.
//! A check that fails is something that `e4 run` with the same configuration
//! would end on; all else that could be better is a warning. Nothing is changed
//! on the host, and no frame is taken from a camera. Of a clip the first frame is
//! decoded, as the run would.
//!
//! Not guaranteed: that the host stays as it was found.
//!
//! Cost: some hundred small file reads, one pass of SHA-256 over the bundle and
//! one frame of the clip in as many slots as the run has.
//!
//! To add a check, write a function from [`Subject`] to [`Check`] and put it into
//! [`ROWS`].
//!
//! ```
//! use e4::config::Layers;
//! use e4::doctor::{Host, Subject, examine};
//!
//! let mut layers = Layers::default();
//! let config = layers.finish()?;
//! let report = examine(&Subject::new(&config, &layers, Host::this())?);
//! println!("{}", report.text());
//! # Ok::<(), e4::config::ConfigError>(())
//! ```

mod bundle;
mod camera;
mod clocks;
mod cores;
mod engine;
mod files;
mod host;
mod idle;
mod kernel;
mod library;
mod limits;
mod power;
mod report;
#[cfg(test)]
mod tests;

pub use host::Host;
pub use report::{Check, Report, SCHEMA, State};

use crate::config::{Config, ConfigError, CoreChoice, Layers};
use crate::pipeline::{OnError, Placement, Stage};
use crate::rt::SchedClass;

/// One row of the report.
pub type Row = fn(&Subject<'_>) -> Check;

/// Every row, in the order of the report.
pub const ROWS: &[Row] = &[
    limits::class,
    limits::throttling,
    limits::memlock,
    limits::swap,
    kernel::preemption,
    kernel::clocksource,
    cores::present,
    cores::isolated,
    cores::tickless,
    cores::interrupts,
    idle::states,
    idle::latency,
    camera::camera,
    clocks::cpu,
    clocks::gpu,
    clocks::emc,
    clocks::plan,
    power::power,
    engine::cpu,
    engine::tensorrt,
    engine::onnxruntime,
    bundle::bundle,
    files::clip,
    files::output,
    files::summary,
];

/// What is examined: a configuration on a host.
#[derive(Debug)]
pub struct Subject<'a> {
    config: &'a Config,
    placement: Placement,
    host: Host,
}

impl<'a> Subject<'a> {
    /// `config`, as `layers` made it, on `host`. A core that is named and not
    /// there is a finding, not an error.
    ///
    /// # Errors
    /// When no machine could run the configuration.
    pub fn new(config: &'a Config, layers: &Layers, host: Host) -> Result<Self, ConfigError> {
        let mut cores = host.usable_cores();
        for stage in Stage::ALL {
            if let CoreChoice::Core(core) = config.stage.get(stage).core
                && let Ok(core) = usize::try_from(core)
                && !cores.contains(&core)
            {
                cores.push(core);
            }
        }
        let placement = layers.placement(&cores)?;
        Ok(Self {
            config,
            placement,
            host,
        })
    }

    /// Core of the thread that runs the segments.
    fn infer_core(&self) -> Option<usize> {
        self.placement.thread_of(Stage::Infer).core
    }

    /// The most urgent real-time class that a thread is to run in, and whether the
    /// run ends where it is refused.
    fn class(&self) -> Option<(SchedClass, OnError)> {
        let real_time = self.placement.threads().iter().filter_map(|thread| {
            let on_error = thread.on_error.unwrap_or(self.config.pipeline.on_error);
            Some((thread.class.priority()?, thread.class, on_error))
        });
        let all: Vec<_> = real_time.collect();
        let (_, class, _) = all.iter().max_by_key(|(priority, ..)| *priority)?;
        let strict = all
            .iter()
            .any(|(.., on_error)| *on_error == OnError::Strict);
        let on_error = if strict {
            OnError::Strict
        } else {
            OnError::Warn
        };
        Some((*class, on_error))
    }

    /// State of a check on something that the host does not grant.
    fn refused(&self, asked: bool) -> State {
        refused(asked, self.config.pipeline.on_error)
    }
}

fn refused(asked: bool, on_error: OnError) -> State {
    match on_error {
        OnError::Strict if asked => State::Fail,
        _ => State::Warn,
    }
}

/// Runs every check.
#[must_use]
pub fn examine(subject: &Subject<'_>) -> Report {
    Report::new(ROWS.iter().map(|row| row(subject)).collect())
}
