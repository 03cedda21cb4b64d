//! A pipeline from a [`Config`]: opens everything that it names.

use super::dvfs_setup::{self, DvfsError};
use super::targets::{self, Overwrites};
use super::{OnError, Pipeline, Placement, Policy, RunEnergy, Sink, SinkSetup, SinkWatch, Stop};
use crate::config::{Config, EngineKind, OutputTo, SourceKind, StatusMode, shipped};
use crate::engine::Engine;
use crate::engine::auto::AutoEngine;
use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::cpu::CpuEngine;
use crate::engine::native::NativeEngine;
use crate::gates::{Gates, GatesError};
use crate::power::{PowerError, Root, Sampler, Wish, select};
use crate::source::clip::{ClipOptions, ClipSource, RawLayout};
use crate::source::generator::camera::{CameraError, CameraOptions, Generator};
use crate::source::v4l2::{self, Camera};
use crate::source::{FrameSource, Reporter, SourceError};
use crate::telemetry::output::{DatagramOutput, FileOutput};
use crate::telemetry::status::StatusLine;
use crate::telemetry::trace::{SCHEMA, Trace, TraceHead};
use crate::telemetry::{DropCounters, Output};
use crate::tensor::Colour;
use std::io::{self, IsTerminal};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a configuration does not make a pipeline. One sentence that names the
/// file or the flag.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The bundle's heads are refused, or the exit policy does not fit them.
    #[error(transparent)]
    Gates(#[from] GatesError),
    /// The source cannot be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The generator is asked for what it cannot do.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// Energy is asked for and cannot be measured.
    #[error(transparent)]
    Power(#[from] PowerError),
    /// A file has two uses.
    #[error(transparent)]
    Overwrites(#[from] Overwrites),
    /// The clocks cannot be followed as asked.
    #[error(transparent)]
    Dvfs(#[from] DvfsError),
    /// An output cannot be opened.
    #[error("--output {to}: {source}")]
    Output {
        /// Where to.
        to: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The trace cannot be opened.
    #[error("--trace {path}: {source}", path = path.display())]
    Trace {
        /// Where to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// What ships with e4 is not where it is looked for.
    #[error(
        "{what} is neither beside the executable nor in the current folder; name another with --{flag}"
    )]
    NotShipped {
        /// The folder.
        what: &'static str,
        /// The flag that names another.
        flag: &'static str,
    },
}

impl Pipeline<Sink> {
    /// A pipeline as `config` says, on threads as `placement` says. Sentences for
    /// the user come with it. `stop` is the one to run it with: it tells the
    /// outputs not to wait for their reader any longer.
    ///
    /// # Errors
    /// At the first part that cannot be opened.
    pub fn from_config(
        config: &Config,
        placement: Placement,
        stop: &Stop,
    ) -> Result<(Self, Vec<String>), SetupError> {
        targets::check(config)?;
        let bundle = Bundle::open(or_shipped(
            config.bundle.path.as_deref(),
            "engines/mobilenetv2-e5",
            "bundle",
        )?)?;
        let gates = Gates::open(&bundle, config.exit.policy)?;
        let (source, mut notices) = source(config, &bundle, stop)?;
        let (engine, more) = engine(config.engine.kind, &bundle);
        notices.extend(more);
        let live = source.info().live || config.source.policy == Policy::Newest;
        let (energy, unreadable) = energy(config, live)?;
        notices.extend(unreadable);
        let drops: Arc<DropCounters> = Arc::default();
        let sink = Sink::new(SinkSetup {
            labels: bundle.manifest().labels.clone(),
            segment_macs: bundle.manifest().segments.iter().map(|s| s.macs).collect(),
            drops: drops.clone(),
            outputs: outputs(config, stop)?,
            status: status(config),
            endless: config.source.kind != SourceKind::Clip,
            energy,
            trace: trace(config, &bundle, stop)?,
        });
        let (dvfs, more) = dvfs_setup::open(config, &placement, &bundle)?;
        notices.extend(more);
        let settings = &config.pipeline;
        let watchdog_ns = match settings.watchdog_ms {
            0 => u64::MAX,
            ms => u64::from(ms) * 1_000_000,
        };
        let pipeline = Self::new(source, engine, bundle, gates, sink)
            .placement(placement)
            .policy(config.source.policy)
            .on_error(settings.on_error)
            .lock_memory(config.lock_memory())
            .cpu_latency_us(config.cpu_latency_us())
            .timer_slack_ns(config.rt.timer_slack_ns)
            .prefault_heap(usize::try_from(config.rt.prefault_heap_mib).unwrap_or(0) << 20)
            .slots(usize::try_from(settings.slots).unwrap_or(usize::MAX))
            .frames(config.source.frames.map(NonZeroU64::get))
            .sample(config.source.sample)
            .speculate(settings.speculate)
            .resize(settings.resize)
            .watchdog_ns(watchdog_ns)
            .dvfs(dvfs)
            .drop_counters(drops);
        Ok((pipeline, notices))
    }
}

impl Pipeline<Sink> {
    /// What tells the run's totals, whatever becomes of the sink.
    #[must_use]
    pub fn sink_watch(&self) -> SinkWatch {
        self.sink.watch()
    }
}

fn or_shipped(
    given: Option<&Path>,
    what: &'static str,
    flag: &'static str,
) -> Result<std::path::PathBuf, SetupError> {
    given
        .map(Path::to_owned)
        .or_else(|| shipped(Path::new(what)))
        .ok_or(SetupError::NotShipped { what, flag })
}

/// The engine, and what the user should know about its choice.
fn engine(kind: EngineKind, bundle: &Bundle) -> (Box<dyn Engine>, Vec<String>) {
    match kind {
        EngineKind::Auto => {
            let engine = AutoEngine::new();
            (Box::new(engine), engine.notices(bundle))
        }
        EngineKind::Native => (Box::new(NativeEngine::new()), Vec::new()),
        EngineKind::Tract => (Box::new(CpuEngine::new()), Vec::new()),
    }
}

fn source(
    config: &Config,
    bundle: &Bundle,
    stop: &Stop,
) -> Result<(Box<dyn FrameSource>, Vec<String>), SetupError> {
    let settings = &config.source;
    match settings.kind {
        SourceKind::Clip => {
            let path = or_shipped(settings.path.as_deref(), "engines/clips", "clip")?;
            let clip = ClipSource::open(&path, clip_options(config, bundle, stop))?;
            let notices = clip.warnings().to_vec();
            Ok((Box::new(clip), notices))
        }
        SourceKind::Generator => {
            let scenes = &settings.generator;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "from 0 to 1; f32 is exact enough"
            )]
            let difficulty = scenes.difficulty.map(|d| d as f32);
            let camera = Generator::new(CameraOptions {
                width: scenes.width,
                height: scenes.height,
                fps: scenes.fps,
                seed: scenes.seed,
                difficulty,
                format: scenes.format,
                live: settings.realtime(),
                ..CameraOptions::default()
            })?;
            Ok((Box::new(camera), Vec::new()))
        }
        SourceKind::Camera => Ok((Box::new(Camera::new(camera_options(config))), Vec::new())),
    }
}

fn camera_options(config: &Config) -> v4l2::CameraOptions {
    let camera = &config.source.camera;
    v4l2::CameraOptions {
        device: v4l2::Selector::new(camera.device.as_ref().map(|name| name.0.as_str())),
        wish: v4l2::Wish {
            formats: camera.formats.list(),
            width: camera.width,
            height: camera.height,
            fps: camera.fps,
        },
        controls: v4l2::Wanted {
            exposure_us: camera.exposure,
            gain: camera.gain,
            power_line: camera.power_line,
        },
        strict: config.pipeline.on_error == OnError::Strict,
        wait_ns: nanoseconds(camera.wait_s),
        // The pipeline tells it where to.
        reporter: Reporter::silent(),
    }
}

fn clip_options(config: &Config, bundle: &Bundle, stop: &Stop) -> ClipOptions {
    let settings = &config.source;
    let interval_ns = nanoseconds(1.0 / settings.raw_fps);
    let raw = settings
        .raw_format
        .zip(settings.raw_width.zip(settings.raw_height))
        .map(|(format, (width, height))| RawLayout {
            format,
            width,
            height,
            colour: Colour::default(),
            interval_ns,
        });
    ClipOptions {
        labels: bundle.manifest().labels.clone(),
        passes: (!settings.repeat).then_some(1),
        realtime: settings.realtime(),
        raw,
        ffmpeg: settings.ffmpeg.clone(),
        patience_ns: nanoseconds(settings.ffmpeg_timeout_s),
        stop: stop.clone(),
        ..ClipOptions::default()
    }
}

fn nanoseconds(seconds: f64) -> u64 {
    let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or(std::time::Duration::MAX);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The sensor that the configuration asks for, started, and sentences about those
/// that cannot be read.
fn energy(config: &Config, live: bool) -> Result<(Option<RunEnergy>, Vec<String>), SetupError> {
    let settings = &config.power;
    let wish = Wish {
        choice: settings.sensor,
        board: settings.board.map(|board| board.0.to_owned()),
        rails: settings
            .rails
            .clone()
            .map_or_else(Vec::new, |rails| rails.0),
    };
    let selected = select(&Root::new(&config.clocks.sysfs_root), &wish)?;
    let sampler = selected.sensor.map(Sampler::start).transpose()?;
    let per_frame = settings.per_frame.unwrap_or(!live);
    Ok((
        sampler.map(|s| RunEnergy::new(s, per_frame)),
        selected.notices,
    ))
}

fn outputs(config: &Config, stop: &Stop) -> Result<Vec<Box<dyn Output>>, SetupError> {
    let mut outputs: Vec<Box<dyn Output>> = Vec::new();
    let refused = |path: &Path, source| SetupError::Output {
        to: path.display().to_string(),
        source,
    };
    if config.sink.lines_on_stdout() {
        let stdout = FileOutput::stdout(stop).map_err(|e| refused(Path::new("stdout"), e))?;
        outputs.push(Box::new(stdout));
    }
    match &config.sink.output {
        OutputTo::None | OutputTo::Stdout => {}
        OutputTo::File(path) => {
            let file = FileOutput::create("--output", path, stop).map_err(|e| refused(path, e))?;
            outputs.push(Box::new(file));
        }
        OutputTo::Datagram(path) => {
            let socket = DatagramOutput::open(path).map_err(|e| refused(path, e))?;
            outputs.push(Box::new(socket));
        }
    }
    Ok(outputs)
}

/// The trace that is asked for.
fn trace(config: &Config, bundle: &Bundle, stop: &Stop) -> Result<Option<Trace>, SetupError> {
    let Some(path) = &config.sink.trace else {
        return Ok(None);
    };
    let file = FileOutput::create("--trace", path, stop);
    let file = file.map_err(|source| SetupError::Trace {
        path: path.clone(),
        source,
    })?;
    let manifest = bundle.manifest();
    let head = TraceHead {
        schema: SCHEMA.to_owned(),
        bundle: manifest.name.clone(),
        bundle_sha256: bundle.digest().to_owned(),
        exit_policy: config.exit.policy.to_string(),
        exits: manifest.exit_count(),
        endless: config.source.kind != SourceKind::Clip,
        labels: manifest.labels.clone(),
    };
    Ok(Some(Trace::new(&head, Box::new(file))))
}

fn status(config: &Config) -> Option<StatusLine> {
    let wanted = match config.sink.status {
        StatusMode::Auto => io::stderr().is_terminal(),
        StatusMode::Always => true,
        StatusMode::Never => false,
    };
    wanted.then(StatusLine::stderr)
}
