//! The settings that are a choice among names, and those with a small syntax of
//! their own.

use super::value::{Setting, Value, after_colon, choices, literal};
use crate::telemetry::MAX_EXITS;
use std::path::PathBuf;
use toml::de::DeValue;

choices! {
    /// Where frames come from.
    SourceKind: "clip" Clip "Clip files.",
    "generator" Generator "Generated scenes: a synthetic camera.",
}

choices! {
    /// How fast frames are taken from their source.
    Pace: "auto" Auto "Clips as fast as possible, the generator in real time.",
    "fast" Fast "As fast as they can be had.",
    "realtime" Realtime "At the rate of their timestamps.",
}

choices! {
    /// What happens to a captured frame while infer is busy.
    DropPolicy: "auto" Auto "`block` for clips as fast as possible, `newest` in real time.",
    "block" Block "Capture waits: every frame is inferred.",
    "newest" Newest "A newer frame takes its place.",
}

choices! {
    /// What runs the segments.
    EngineKind: "cpu" Cpu "The CPU.",
}

choices! {
    /// How a stage that runs dry waits for the next frame.
    Wait: "hybrid" Hybrid "Sleep until shortly before the predicted arrival, spin briefly, then park.",
    "spin" Spin "Never leave the core; shortest, and only for a thread with a core of its own.",
    "park" Park "Sleep in the kernel until woken.",
}

choices! {
    /// How one stage waits, where it differs from the rest.
    StageWait: "auto" Auto "As `pipeline.wait` says.",
    "hybrid" Hybrid "As [`Wait::Hybrid`].",
    "spin" Spin "As [`Wait::Spin`].",
    "park" Park "As [`Wait::Park`].",
}

choices! {
    /// What happens when the host refuses a core or a scheduling class.
    OnError: "warn" Warn "Say so once and go on without it.",
    "strict" Strict "Refuse to start.",
}

choices! {
    /// Scheduling class of a thread.
    SchedClass: "other" Other "The kernel's fair share.",
    "fifo" Fifo "`SCHED_FIFO`.",
    "rr" Rr "`SCHED_RR`.",
}

choices! {
    /// When the live status line is shown.
    StatusMode: "auto" Auto "When standard error is a terminal.",
    "always" Always "Always; one line a second where there is no terminal.",
    "never" Never "Never.",
}

choices! {
    /// A stage of the pipeline, in the frame's order.
    Stage: "capture" Capture "Owns the source.",
    "infer" Infer "Converts and runs the segments.",
    "gate" Gate "Owns the temporal state and decides the exit.",
    "sink" Sink "Owns outputs and statistics.",
}

/// Which exit a frame takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ExitPolicy {
    /// The first one whose gate says so.
    #[default]
    Gates,
    /// Always this one, counted from 1.
    Always(u8),
    /// The first one whose softmax reaches this.
    Softmax(f32),
}

impl Setting for ExitPolicy {
    fn hint() -> Option<String> {
        Some("gates|always:K|softmax:P".into())
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let text = value.text().unwrap_or_default();
        if text == "gates" {
            return Ok(Self::Gates);
        }
        let always = after_colon(text, "always")
            .filter(|&exit| exit >= 1 && usize::from(exit) <= MAX_EXITS)
            .map(Self::Always);
        let softmax = after_colon(text, "softmax")
            .filter(|&p| p > 0.0 && p <= 1.0)
            .map(Self::Softmax);
        always.or(softmax).ok_or_else(|| {
            value.is_not(format_args!(
                "gates, always:K (exit 1 to {MAX_EXITS}) or softmax:P (0 < P <= 1)"
            ))
        })
    }
    fn show(&self) -> Option<String> {
        Some(literal(&match self {
            Self::Gates => "gates".to_owned(),
            Self::Always(exit) => format!("always:{exit}"),
            Self::Softmax(p) => format!("softmax:{p}"),
        }))
    }
}

/// Core that a stage's thread is pinned to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoreChoice {
    /// Chosen by the number of cores.
    #[default]
    Auto,
    /// Not pinned.
    Any,
    /// This one.
    Core(u32),
}

impl Setting for CoreChoice {
    fn hint() -> Option<String> {
        Some("auto|any|N".into())
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some("auto") => Ok(Self::Auto),
            Some("any") => Ok(Self::Any),
            _ => u32::read(value)
                .map(Self::Core)
                .map_err(|_| value.is_not("auto, any or the number of a core")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Auto => literal("auto"),
            Self::Any => literal("any"),
            Self::Core(core) => core.to_string(),
        })
    }
}

/// Which stages share a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    /// Chosen by the number of cores.
    #[default]
    Auto,
    /// One entry a thread: neighbouring stages, all four in order.
    Groups(Vec<Vec<Stage>>),
}

impl Setting for Threads {
    fn hint() -> Option<String> {
        Some("auto|capture,infer+gate,sink".into())
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        if value.text() == Some("auto") {
            return Ok(Self::Auto);
        }
        let groups = match *value {
            Value::Item(DeValue::Array(threads)) => threads
                .iter()
                .map(|thread| match thread.get_ref() {
                    DeValue::Array(stages) => stages
                        .iter()
                        .map(|stage| Stage::read(&Value::Item(stage.get_ref())))
                        .collect(),
                    other => Err(Value::Item(other).is_not("a list of stages")),
                })
                .collect::<Result<Vec<Vec<_>>, _>>()?,
            _ => value
                .text()
                .ok_or_else(|| value.is_not("auto or a list of threads"))?
                .split(',')
                .map(|thread| {
                    thread
                        .split('+')
                        .map(|s| Stage::read(&Value::Text(s)))
                        .collect()
                })
                .collect::<Result<Vec<Vec<_>>, _>>()?,
        };
        let in_order = groups.iter().flatten().eq(Stage::ALL);
        if in_order && groups.iter().all(|group| !group.is_empty()) {
            Ok(Self::Groups(groups))
        } else {
            Err(
                "the threads must name capture, infer, gate and sink once each, in this order"
                    .into(),
            )
        }
    }
    fn show(&self) -> Option<String> {
        let Self::Groups(groups) = self else {
            return Some(literal("auto"));
        };
        let threads: Vec<String> = groups
            .iter()
            .map(|group| {
                let stages: Vec<_> = group.iter().map(|stage| literal(stage.name())).collect();
                format!("[{}]", stages.join(", "))
            })
            .collect();
        Some(format!("[{}]", threads.join(", ")))
    }
}

/// Where JSON lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OutputTo {
    /// Nowhere.
    #[default]
    None,
    /// Standard output.
    Stdout,
    /// A file, written anew.
    File(PathBuf),
    /// A Unix datagram socket that somebody else listens on.
    Datagram(PathBuf),
}

impl Setting for OutputTo {
    fn hint() -> Option<String> {
        Some("none|stdout|PATH|unixgram:PATH".into())
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some("none") => Ok(Self::None),
            Some("stdout" | "-") => Ok(Self::Stdout),
            Some("" | "unixgram:") | None => {
                Err(value.is_not("none, stdout, a path or unixgram:PATH"))
            }
            Some(text) => Ok(match text.strip_prefix("unixgram:") {
                Some(socket) => Self::Datagram(socket.into()),
                None => Self::File(text.into()),
            }),
        }
    }
    fn show(&self) -> Option<String> {
        Some(literal(&match self {
            Self::None => "none".to_owned(),
            Self::Stdout => "stdout".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Datagram(path) => format!("unixgram:{}", path.display()),
        }))
    }
}
