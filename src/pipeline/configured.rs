//! A pipeline from a [`Config`]: opens everything that it names.

use super::auto;
use super::dvfs_setup::{self, DvfsError, Taps};
use super::targets::{self, Overwrites};
use super::{OnError, Pipeline, Placement, Policy, RunEnergy, Sink, SinkSetup, SinkWatch, Stop};
use crate::config::{Config, DvfsMode, EngineKind, OutputTo, SourceKind, StatusMode, shipped};
use crate::engine::auto::AutoEngine;
use crate::engine::bundle::{Bundle, BundleError};
use crate::engine::cpu::CpuEngine;
use crate::engine::native::NativeEngine;
use crate::engine::{Engine, EngineError};
use crate::gates::{Gates, GatesError};
use crate::power::{Choice, EnergyTap, PowerError, Root, Sampler, Wish, select};
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
    /// The engine that is asked for cannot be had.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine that is asked for is not part of this program.
    #[error(
        "--engine ort: this e4 was built without ONNX Runtime; build it with `--features ort` or choose another engine"
    )]
    WithoutOrt,
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
        let bundle = Bundle::open(bundle_path(config)?)?;
        let gates = Gates::open(&bundle, config.exit.policy)?;
        let (source, mut notices) = source(config, &bundle, stop)?;
        let (engine, more) = engine(config.engine.kind, &bundle)?;
        notices.extend(more);
        let live = source.info().live || config.source.policy == Policy::Newest;
        let Energy {
            run: energy,
            tap: energy_tap,
            boundary,
            notices: unreadable,
        } = energy(config, live)?;
        notices.extend(unreadable);
        let (tap, taps) = match config.dvfs.mode {
            DvfsMode::Auto => {
                let (tap, frames) = auto::tap();
                let taps = Taps {
                    frames,
                    energy: energy_tap,
                    boundary,
                };
                (Some(tap), Some(taps))
            }
            _ => (None, None),
        };
        let drops: Arc<DropCounters> = Arc::default();
        let sink = Sink::new(SinkSetup {
            labels: bundle.manifest().labels.clone(),
            segment_macs: bundle.manifest().segments.iter().map(|s| s.macs).collect(),
            drops: drops.clone(),
            outputs: outputs(config, stop)?,
            status: status(config),
            endless: config.source.kind != SourceKind::Clip,
            energy,
            tap,
            trace: trace(config, &bundle, stop)?,
        });
        let (dvfs, more) = dvfs_setup::open(config, &placement, &bundle, taps)?;
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

/// The bundle that `config` names, or the one that ships with e4.
///
/// # Errors
/// When neither is there.
pub fn bundle_path(config: &Config) -> Result<std::path::PathBuf, SetupError> {
    or_shipped(
        config.bundle.path.as_deref(),
        "engines/mobilenetv2-e5",
        "bundle",
    )
}

/// The power sensor that `config` wishes for.
#[must_use]
pub fn power_wish(config: &Config) -> Wish {
    let settings = &config.power;
    Wish {
        choice: settings.sensor,
        board: settings.board.map(|board| board.0.to_owned()),
        rails: settings
            .rails
            .clone()
            .map_or_else(Vec::new, |rails| rails.0),
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
///
/// # Errors
///
/// The engine cannot be had here.
pub fn engine(
    kind: EngineKind,
    bundle: &Bundle,
) -> Result<(Box<dyn Engine>, Vec<String>), SetupError> {
    Ok(match kind {
        EngineKind::Auto => {
            let engine = AutoEngine::new();
            (Box::new(engine), engine.notices(bundle))
        }
        EngineKind::Native => (Box::new(NativeEngine::new()), Vec::new()),
        EngineKind::Tract => (Box::new(CpuEngine::new()), Vec::new()),
        #[cfg(feature = "ort")]
        EngineKind::Ort => (Box::new(crate::engine::ort::OrtEngine::open()?), Vec::new()),
        #[cfg(not(feature = "ort"))]
        EngineKind::Ort => return Err(SetupError::WithoutOrt),
    })
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
            let clip = ClipSource::open(
                &path,
                clip_options(config, bundle.manifest().labels.clone(), stop),
            )?;
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

/// How clips are read under `config`; `labels` are the classes that the bundle
/// knows.
#[must_use]
pub fn clip_options(config: &Config, labels: Vec<String>, stop: &Stop) -> ClipOptions {
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
        labels,
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

/// What measures a run.
#[derive(Debug, Default)]
struct Energy {
    run: Option<RunEnergy>,
    /// For who plans in the run.
    tap: Option<EnergyTap>,
    boundary: String,
    /// About sensors that cannot be read.
    notices: Vec<String>,
}

/// The sensor that the configuration asks for, started.
/// The flag that asks for energy without naming a sensor; with `none` there is none
/// by wish. A board is also what a plan is checked against.
fn energy_flag(config: &Config) -> Option<&'static str> {
    let power = &config.power;
    if power.sensor == Choice::None {
        return None;
    }
    let asked = [
        (power.per_frame == Some(true), "--frame-energy"),
        (power.rails.is_some(), "--power-rails"),
        (
            power.board.is_some() && config.dvfs.mode != DvfsMode::Plan,
            "--board",
        ),
    ];
    asked
        .into_iter()
        .find_map(|(asked, flag)| asked.then_some(flag))
}

fn energy(config: &Config, live: bool) -> Result<Energy, SetupError> {
    let wish = power_wish(config);
    let selected = select(&Root::new(&config.clocks.sysfs_root), &wish)?;
    let Some(sensor) = selected.sensor else {
        if let Some(flag) = energy_flag(config) {
            let why = selected.notices.iter().map(|notice| format!(" ({notice})"));
            let why = why.collect();
            return Err(PowerError::Asked { flag, why }.into());
        }
        return Ok(Energy {
            notices: selected.notices,
            ..Energy::default()
        });
    };
    let boundary = sensor.boundary().to_string();
    let (sampler, tap) = match config.dvfs.mode {
        DvfsMode::Auto => {
            let (sampler, tap) = Sampler::start_tapped(sensor)?;
            (sampler, Some(tap))
        }
        _ => (Sampler::start(sensor)?, None),
    };
    let per_frame = config.power.per_frame.unwrap_or(!live);
    Ok(Energy {
        run: Some(RunEnergy::new(sampler, per_frame)),
        tap,
        boundary,
        notices: selected.notices,
    })
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
