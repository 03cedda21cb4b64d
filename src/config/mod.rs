//! The configuration of `e4 run`: a TOML file, with a flag for every key.
//!
//! Guarantees: an unknown key is an error that names the nearest known one, a bad
//! value is an error that names file, line and key (or the flag), and what
//! [`Config::print`] writes reads back as the same configuration. One table,
//! [`KEYS`], is the source of the file's keys, the flags, their help and the
//! printed config, so that none of them can drift.
//!
//! Not guaranteed: that files, devices and cores exist; that shows when they are
//! opened. Relative paths are relative to the current folder wherever they are
//! written, so that a flag and a key mean the same.
//!
//! ```
//! let config = e4::config::Config::from_toml("[exit]\npolicy = \"always:5\"", "e4.toml")?;
//! assert_eq!(config.exit.policy, e4::gates::ExitPolicy::Always(5));
//!
//! let error = e4::config::Config::from_toml("[exit]\npolcy = \"gates\"", "e4.toml");
//! assert_eq!(
//!     error.unwrap_err().to_string(),
//!     "e4.toml:2: unknown key exit.polcy; the nearest known one is exit.policy"
//! );
//! # Ok::<(), e4::config::ConfigError>(())
//! ```

mod camera;
mod check;
mod choices;
mod clocks;
mod keys;
mod layers;
mod placement;
mod print;
mod shipped;
#[cfg(test)]
mod tests;
mod value;

pub use camera::{DeviceName, Formats};
pub use choices::{
    BoardName, Class, CoreChoice, CpuLatencyChoice, DvfsMode, EngineKind, OutputTo, Pace, Rails,
    SourceKind, StatusMode, Threads,
};
pub use clocks::{ClocksConfig, DvfsConfig, PowerConfig};
pub use keys::{KEYS, Key};
pub use layers::{Layers, Place};
pub use placement::default_placement;
pub use shipped::shipped;

use crate::gates::ExitPolicy;
use crate::pipeline::{OnError, Placement, Policy, Stage, WaitStrategy};
use crate::source::v4l2::{Choice, PowerLine};
use crate::tensor::PixelFormat;
use crate::tensor::convert::Resize;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// Everything that a run can be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Where frames come from.
    pub source: SourceConfig,
    /// What runs the segments.
    pub engine: EngineConfig,
    /// The network.
    pub bundle: BundleConfig,
    /// Which exit a frame takes.
    pub exit: ExitConfig,
    /// Threads and hand-offs.
    pub pipeline: PipelineConfig,
    /// Real time.
    pub rt: RtConfig,
    /// Each stage's thread.
    pub stage: StageConfigs,
    /// Clocks.
    pub clocks: ClocksConfig,
    /// Energy.
    pub power: PowerConfig,
    /// What is done with them.
    pub dvfs: DvfsConfig,
    /// Outputs.
    pub sink: SinkConfig,
}

/// `[source]`
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Clips or generated scenes.
    pub kind: SourceKind,
    /// A clip or a folder of clips; unset: the shipped ones.
    pub path: Option<PathBuf>,
    /// Start over at the end (`loop`).
    pub repeat: bool,
    /// Most captured frames.
    pub frames: Option<NonZeroU64>,
    /// How fast frames are taken.
    pub pace: Pace,
    /// What happens to frames while infer is busy.
    pub policy: Policy,
    /// Sample at the bundle's frame interval.
    pub sample: bool,
    /// Layout of raw clips.
    pub raw_format: Option<PixelFormat>,
    /// Width of raw clips in pixels.
    pub raw_width: Option<u32>,
    /// Height of raw clips in pixels.
    pub raw_height: Option<u32>,
    /// Frames per second of raw clips.
    pub raw_fps: f64,
    /// The ffmpeg program.
    pub ffmpeg: PathBuf,
    /// Seconds without a frame after which it counts as hanging.
    pub ffmpeg_timeout_s: f64,
    /// The camera's own settings.
    pub camera: CameraConfig,
    /// The generator's own settings.
    pub generator: GeneratorConfig,
}

impl SourceConfig {
    /// True when frames are taken at the rate of their timestamps.
    #[must_use]
    pub fn realtime(&self) -> bool {
        match self.pace {
            Pace::Auto => self.kind != SourceKind::Clip,
            Pace::Fast => false,
            Pace::Realtime => true,
        }
    }
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            kind: SourceKind::default(),
            path: None,
            repeat: false,
            frames: None,
            pace: Pace::default(),
            policy: Policy::default(),
            sample: true,
            raw_format: None,
            raw_width: None,
            raw_height: None,
            raw_fps: 30.0,
            ffmpeg: "ffmpeg".into(),
            ffmpeg_timeout_s: 10.0,
            camera: CameraConfig::default(),
            generator: GeneratorConfig::default(),
        }
    }
}

/// `[source.camera]`
#[derive(Clone, Debug, PartialEq)]
pub struct CameraConfig {
    /// Which one; unset: the first there is.
    pub device: Option<DeviceName>,
    /// Formats in the order of preference.
    pub formats: Formats,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: f64,
    /// Exposure time in microseconds; unset: left as it is.
    pub exposure: Option<Choice>,
    /// Gain; unset: left as it is.
    pub gain: Option<Choice>,
    /// Mains flicker; unset: left as it is.
    pub power_line: Option<PowerLine>,
    /// Seconds to wait at the start for a device that is not there.
    pub wait_s: f64,
}

impl Default for CameraConfig {
    fn default() -> Self {
        Self {
            device: None,
            formats: Formats::default(),
            width: 640,
            height: 480,
            fps: 30.0,
            exposure: None,
            gain: None,
            power_line: None,
            wait_s: 10.0,
        }
    }
}

/// `[source.generator]`
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratorConfig {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub fps: f64,
    /// Seed of the scenes.
    pub seed: u64,
    /// 0 to 1; unset: drawn for every scene.
    pub difficulty: Option<f64>,
    /// Layout of the frames.
    pub format: PixelFormat,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            width: 320,
            height: 240,
            fps: 30.0,
            seed: 1,
            difficulty: None,
            format: PixelFormat::Yuyv,
        }
    }
}

/// `[engine]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EngineConfig {
    /// What runs the segments.
    pub kind: EngineKind,
}

/// `[bundle]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BundleConfig {
    /// The bundle's folder; unset: the shipped one.
    pub path: Option<PathBuf>,
}

/// `[exit]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExitConfig {
    /// Which exit a frame takes.
    pub policy: ExitPolicy,
}

/// `[pipeline]`
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineConfig {
    /// Which stages share a thread.
    pub threads: Threads,
    /// Frames that may be under way at once.
    pub slots: u32,
    /// How a stage waits.
    pub wait: WaitStrategy,
    /// Start the next segment before the verdict.
    pub speculate: bool,
    /// How frames are shrunk to the network's input.
    pub resize: Resize,
    /// Milliseconds until a stage counts as stalled; 0: never.
    pub watchdog_ms: u32,
    /// What to do about what the host refuses.
    pub on_error: OnError,
    /// Keep the process in memory; unset: where [`RtConfig::class`] asks for real
    /// time.
    pub lock_memory: Option<bool>,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            threads: Threads::default(),
            slots: 6,
            wait: WaitStrategy::default(),
            speculate: true,
            resize: Resize::default(),
            watchdog_ms: 10_000,
            on_error: OnError::default(),
            lock_memory: None,
        }
    }
}

/// `[rt]`
#[derive(Clone, Debug, PartialEq)]
pub struct RtConfig {
    /// Class of every thread whose stages are given none.
    pub class: Class,
    /// Longest wake-up from an idle state.
    pub cpu_dma_latency: CpuLatencyChoice,
    /// How late a timed sleep may end, in nanoseconds; 0: the kernel's default.
    pub timer_slack_ns: u32,
    /// MiB of heap that each thread touches at start where memory is locked.
    pub prefault_heap_mib: u32,
}

impl Default for RtConfig {
    fn default() -> Self {
        Self {
            class: Class::default(),
            cpu_dma_latency: CpuLatencyChoice::default(),
            timer_slack_ns: 1,
            prefault_heap_mib: 8,
        }
    }
}

/// `[stage.*]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageConfigs {
    /// `[stage.capture]`
    pub capture: StageConfig,
    /// `[stage.infer]`
    pub infer: StageConfig,
    /// `[stage.gate]`
    pub gate: StageConfig,
    /// `[stage.sink]`
    pub sink: StageConfig,
}

impl StageConfigs {
    /// The settings of `stage`.
    #[must_use]
    pub fn get(&self, stage: Stage) -> &StageConfig {
        match stage {
            Stage::Capture => &self.capture,
            Stage::Infer => &self.infer,
            Stage::Gate => &self.gate,
            Stage::Sink => &self.sink,
        }
    }
}

/// One stage's thread. Stages on one thread share what any of them is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageConfig {
    /// Core it is pinned to.
    pub core: CoreChoice,
    /// Scheduling class; unset: as [`RtConfig::class`] says.
    pub class: Option<Class>,
    /// Priority under fifo and rr; unset: as [`crate::rt::priority`] says.
    pub priority: Option<u8>,
    /// How it waits; unset: as [`PipelineConfig::wait`] says.
    pub wait: Option<WaitStrategy>,
    /// What to do when core or class are refused; unset: as
    /// [`PipelineConfig::on_error`] says.
    pub on_error: Option<OnError>,
}

/// `[sink]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SinkConfig {
    /// JSON lines on standard output.
    pub json: bool,
    /// Where else they go.
    pub output: OutputTo,
    /// Where the summary goes; `-` is standard output.
    pub summary: Option<PathBuf>,
    /// Where the trace goes.
    pub trace: Option<PathBuf>,
    /// When the status line is shown.
    pub status: StatusMode,
}

impl SinkConfig {
    /// True when JSON lines go to standard output.
    #[must_use]
    pub fn lines_on_stdout(&self) -> bool {
        self.json || self.output == OutputTo::Stdout
    }

    /// True when the summary goes to standard output.
    #[must_use]
    pub fn summary_on_stdout(&self) -> bool {
        self.summary.as_deref() == Some(Path::new("-"))
    }
}

impl Config {
    /// Reads the text of a config file; `file` names it in errors.
    ///
    /// # Errors
    /// At the first unknown key, bad value or contradiction.
    pub fn from_toml(text: &str, file: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        layers.text(text, file)?;
        layers.finish()
    }

    /// Reads a config file.
    ///
    /// # Errors
    /// When it cannot be read, and as [`from_toml`](Self::from_toml).
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::default();
        layers.file(file)?;
        layers.finish()
    }

    /// Whether real time is asked for as a whole.
    #[must_use]
    pub fn real_time(&self) -> bool {
        self.rt.class != Class::Other
    }

    /// Whether the process is to stay in memory.
    #[must_use]
    pub fn lock_memory(&self) -> bool {
        self.pipeline.lock_memory.unwrap_or(self.real_time())
    }

    /// Longest wake-up from an idle state in microseconds, where one is asked for.
    #[must_use]
    pub fn cpu_latency_us(&self) -> Option<u32> {
        match self.rt.cpu_dma_latency {
            CpuLatencyChoice::Auto => self.real_time().then_some(0),
            CpuLatencyChoice::Off => None,
            CpuLatencyChoice::AtMost(us) => Some(us),
        }
    }

    /// Places the stages on `cores`, the numbers of those this process may use.
    ///
    /// # Errors
    /// When stages of one thread are given different settings, a core is not
    /// there, or a thread would spin where it must not.
    pub fn placement(&self, cores: &[usize]) -> Result<Placement, ConfigError> {
        placement::place(self, cores).map_err(|problem| ConfigError::Setting {
            place: Place::Default {
                key: problem.key.into(),
            },
            reason: problem.reason,
        })
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{file}:{line}: {reason}", file = file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's reason, in one line.
        reason: String,
    },
    /// The file holds a key that nobody knows.
    #[error("{file}:{line}: unknown key {key}; the nearest known one is {nearest}", file = file.display())]
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The dotted key.
        key: String,
        /// The known key that is closest to it.
        nearest: String,
    },
    /// A setting has a bad value or contradicts another.
    #[error("{place}: {reason}")]
    Setting {
        /// Where the value was given.
        place: Place,
        /// What is wrong with it.
        reason: String,
    },
}
