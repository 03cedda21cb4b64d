//! Ranges of single settings and contradictions between them.

use super::keys::Key;
use super::layers::Problem;
use super::{
    CameraConfig, Class, Config, DvfsConfig, DvfsMode, GeneratorConfig, SourceConfig, SourceKind,
    Stage,
};
use crate::source::v4l2::Choice;

/// A key, whether its value is fine, and what it must be.
type Rule = (&'static str, bool, &'static str);

/// The first problem of `config`.
pub(super) fn check(config: &Config) -> Result<(), Problem> {
    let slots = (
        "pipeline.slots",
        (3..=64).contains(&config.pipeline.slots),
        "must be from 3 (one being filled, one waiting, one in work) to 64",
    );
    let rules = clip_rules(&config.source)
        .into_iter()
        .chain(camera_rules(&config.source.camera))
        .chain(generator_rules(&config.source.generator))
        .chain(real_time_rules(config))
        .chain(plan_rules(&config.dvfs))
        .chain([slots]);
    for (key, fine, reason) in rules {
        if !fine {
            return Err(Problem {
                key,
                reason: reason.into(),
            });
        }
    }
    raw(config)?;
    dvfs(config)?;
    Stage::ALL
        .iter()
        .try_for_each(|&stage| priority(config, stage))
}

fn clip_rules(source: &SourceConfig) -> [Rule; 4] {
    let patience = source.ffmpeg_timeout_s > 0.0 && source.ffmpeg_timeout_s <= 86_400.0;
    [
        (
            "source.raw_width",
            source.raw_width.is_none_or(dimension),
            DIMENSION,
        ),
        (
            "source.raw_height",
            source.raw_height.is_none_or(dimension),
            DIMENSION,
        ),
        ("source.raw_fps", rate(source.raw_fps), RATE),
        (
            "source.ffmpeg_timeout_s",
            patience,
            "must be above 0 and at most 86400",
        ),
    ]
}

fn camera_rules(camera: &CameraConfig) -> [Rule; 5] {
    [
        ("source.camera.width", dimension(camera.width), DIMENSION),
        ("source.camera.height", dimension(camera.height), DIMENSION),
        ("source.camera.fps", rate(camera.fps), RATE),
        (
            "source.camera.exposure",
            camera.exposure != Some(Choice::Value(0)),
            "must be auto or at least 1 us",
        ),
        (
            "source.camera.wait_s",
            (0.0..=86_400.0).contains(&camera.wait_s),
            "must be from 0 to 86400",
        ),
    ]
}

fn generator_rules(generator: &GeneratorConfig) -> [Rule; 4] {
    let share = |d| (0.0..=1.0).contains(&d);
    [
        (
            "source.generator.width",
            dimension(generator.width),
            DIMENSION,
        ),
        (
            "source.generator.height",
            dimension(generator.height),
            DIMENSION,
        ),
        ("source.generator.fps", rate(generator.fps), RATE),
        (
            "source.generator.difficulty",
            generator.difficulty.is_none_or(share),
            "must be from 0 to 1",
        ),
    ]
}

fn real_time_rules(config: &Config) -> [Rule; 3] {
    [
        (
            "rt.cpu_dma_latency",
            config.cpu_latency_us().is_none_or(|us| us <= 1_000_000),
            "must be auto, off or at most 1000000 microseconds",
        ),
        (
            "rt.timer_slack_ns",
            config.rt.timer_slack_ns <= 1_000_000_000,
            "must be at most 1000000000",
        ),
        (
            "rt.prefault_heap_mib",
            config.rt.prefault_heap_mib <= 48,
            "must be at most 48, what a thread's own heap has room for",
        ),
    ]
}

fn plan_rules(dvfs: &DvfsConfig) -> [Rule; 4] {
    let above_zero = |x: f64| x > 0.0 && x.is_finite();
    [
        (
            "dvfs.deadline_ms",
            dvfs.deadline_ms.is_none_or(above_zero),
            "must be above 0",
        ),
        (
            "dvfs.power_cap_w",
            dvfs.power_cap_w.is_none_or(above_zero),
            "must be above 0",
        ),
        (
            "dvfs.spread",
            (0.0..=100.0).contains(&dvfs.spread),
            "must be from 0 to 100",
        ),
        (
            "dvfs.budget",
            (1..=10_000).contains(&dvfs.budget),
            "must be from 1 to 10000",
        ),
    ]
}

fn dimension(pixels: u32) -> bool {
    (1..=16_384).contains(&pixels)
}

fn rate(fps: f64) -> bool {
    (0.001..=1_000.0).contains(&fps)
}

const DIMENSION: &str = "must be from 1 to 16384";
const RATE: &str = "must be from 0.001 to 1000";

/// A raw clip's layout is given whole or not at all.
fn raw(config: &Config) -> Result<(), Problem> {
    let source = &config.source;
    let given = [
        ("source.raw_format", source.raw_format.is_some()),
        ("source.raw_width", source.raw_width.is_some()),
        ("source.raw_height", source.raw_height.is_some()),
    ];
    let missing = given.iter().filter(|g| !g.1);
    let missing: Vec<_> = missing.map(|g| with_flag(g.0)).collect();
    match given.iter().find(|g| g.1) {
        Some(&(key, _)) if source.kind == SourceKind::Clip && !missing.is_empty() => Err(Problem {
            key,
            reason: format!("a raw clip needs {} as well", missing.join(" and ")),
        }),
        _ => Ok(()),
    }
}

/// A key with the flag that sets it, too.
fn with_flag(key: &str) -> String {
    match Key::named(key) {
        Some(Key { flag, .. }) => format!("{key} (--{flag})"),
        None => key.to_owned(),
    }
}

/// A priority is one of the class that the stage runs in.
fn priority(config: &Config, stage: Stage) -> Result<(), Problem> {
    let settings = config.stage.get(stage);
    let Some(priority) = settings.priority else {
        return Ok(());
    };
    let keys = super::placement::keys_of(stage);
    let known = (1..=99).contains(&priority);
    let reason = match settings.class.unwrap_or(config.rt.class) {
        Class::Fifo | Class::Rr if known => return Ok(()),
        Class::Fifo => "fifo knows priorities from 1 to 99".into(),
        Class::Rr => "rr knows priorities from 1 to 99".into(),
        Class::Other if !known => "fifo and rr know priorities from 1 to 99".into(),
        Class::Other => format!(
            "has no effect in class other: set {} or {} to fifo or rr",
            with_flag(keys.class),
            with_flag("rt.class")
        ),
    };
    Err(Problem {
        key: keys.priority,
        reason,
    })
}

/// A plan is given where one is executed, and only there.
fn dvfs(config: &Config) -> Result<(), Problem> {
    let dvfs = &config.dvfs;
    let (key, reason) = match (dvfs.mode, &dvfs.plan) {
        (DvfsMode::Plan, None) => ("dvfs.mode", "plan needs a plan file: --plan FILE"),
        (DvfsMode::Off | DvfsMode::Auto, Some(_)) => {
            ("dvfs.plan", "is executed only with --dvfs plan")
        }
        _ => return Ok(()),
    };
    Err(Problem {
        key,
        reason: reason.into(),
    })
}
