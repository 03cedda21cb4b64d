//! The settings that are a choice among names, and those with a small syntax of
//! their own.

use super::value::{Setting, Value, literal, named};
use crate::gates::ExitPolicy;
use crate::pipeline::{OnError, Policy, Stage, WaitStrategy};
use crate::plan::planner::Objective;
use crate::power::{Choice, SensorKind, boards};
use crate::tensor::PixelFormat;
use crate::tensor::convert::Resize;
use std::path::PathBuf;
use toml::de::DeValue;

/// Where frames come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// Clip files.
    #[default]
    Clip,
    /// Generated scenes: a synthetic camera.
    Generator,
    /// A camera.
    Camera,
}

named!(SourceKind: "clip" Clip, "generator" Generator, "camera" Camera);

/// How fast frames are taken from their source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Clips as fast as possible, the generator in real time.
    #[default]
    Auto,
    /// As fast as they can be had.
    Fast,
    /// At the rate of their timestamps.
    Realtime,
}

named!(Pace: "auto" Auto, "fast" Fast, "realtime" Realtime);

/// What runs the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// The fastest that can: the native engine, tract for what it cannot run.
    #[default]
    Auto,
    /// The native engine alone.
    Native,
    /// tract alone.
    Tract,
    /// ONNX Runtime, where e4 was built with it.
    Ort,
}

named!(EngineKind: "auto" Auto, "native" Native, "tract" Tract, "ort" Ort, "cpu" Auto);

/// What is done with the clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DvfsMode {
    /// Nothing.
    #[default]
    Off,
    /// They are read.
    Observe,
    /// They are set as a plan says.
    Plan,
    /// They are set as a plan says that is made in the run.
    Auto,
}

named!(DvfsMode: "off" Off, "observe" Observe, "plan" Plan, "auto" Auto);
named!(Objective: "energy" Energy, "latency" Latency, "edp" Edp);

/// Scheduling class of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// The kernel's fair share.
    #[default]
    Other,
    /// `SCHED_FIFO`.
    Fifo,
    /// `SCHED_RR`.
    Rr,
}

named!(Class: "other" Other, "fifo" Fifo, "rr" Rr);

/// When the live status line is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusMode {
    /// When standard error is a terminal.
    #[default]
    Auto,
    /// Always; one line a second where there is no terminal.
    Always,
    /// Never.
    Never,
}

named!(StatusMode: "auto" Auto, "always" Always, "never" Never);

named!(Policy: "auto" Auto, "block" Block, "newest" Newest);
named!(OnError: "warn" Warn, "strict" Strict);
named!(Resize: "triangle" Triangle, "area" Area, "bilinear" Bilinear);
named!(WaitStrategy: "hybrid" Hybrid, "spin" Spin, "park" Park);
named!(Stage: "capture" Capture, "infer" Infer, "gate" Gate, "sink" Sink);
named!(PixelFormat: "gray8" Gray8, "rgb24" Rgb24, "bgr24" Bgr24, "yuyv" Yuyv, "uyvy" Uyvy, "nv12" Nv12, "nv16" Nv16, "i420" I420, "i422" I422, "i444" I444, "yuv24" Yuv24);

impl Setting for ExitPolicy {
    fn hint() -> Option<&'static str> {
        Some("gates|always:K|softmax:P")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        value
            .text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| {
                value.is_not("gates, always:K (K from 1), softmax:P (0 < P <= 1) or softmax")
            })
    }
    fn show(&self) -> Option<String> {
        Some(literal(&self.to_string()))
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
    fn hint() -> Option<&'static str> {
        Some("auto|any|N")
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

/// Longest time that a core may take to leave an idle state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuLatencyChoice {
    /// None where real time is asked for, whatever the kernel likes elsewhere.
    #[default]
    Auto,
    /// Whatever the kernel likes.
    Off,
    /// This many microseconds.
    AtMost(u32),
}

impl Setting for CpuLatencyChoice {
    fn hint() -> Option<&'static str> {
        Some("auto|off|US")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some("auto") => Ok(Self::Auto),
            Some("off") => Ok(Self::Off),
            _ => u32::read(value)
                .map(Self::AtMost)
                .map_err(|_| value.is_not("auto, off or a number of microseconds")),
        }
    }
    fn show(&self) -> Option<String> {
        Some(match self {
            Self::Auto => literal("auto"),
            Self::Off => literal("off"),
            Self::AtMost(us) => us.to_string(),
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
    fn hint() -> Option<&'static str> {
        Some("auto|capture,infer+gate,sink")
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
        let in_order = groups.iter().flatten().copied().eq(Stage::ALL);
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

/// Bytes of a socket's path that the kernel has room for (`sun_path` of unix(7),
/// less the zero at its end).
const LONGEST_SOCKET: usize = 107;

impl Setting for OutputTo {
    fn hint() -> Option<&'static str> {
        Some("none|stdout|PATH|unixgram:PATH")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        match value.text() {
            Some("none") => Ok(Self::None),
            Some("stdout" | "-") => Ok(Self::Stdout),
            Some("" | "unixgram:") | None => {
                Err(value.is_not("none, stdout, a path or unixgram:PATH"))
            }
            Some(text) => match text.strip_prefix("unixgram:") {
                Some(socket) if socket.len() > LONGEST_SOCKET => Err(format!(
                    "the path of a socket has at most {LONGEST_SOCKET} bytes, not {}",
                    socket.len()
                )),
                Some(socket) => Ok(Self::Datagram(socket.into())),
                None => Ok(Self::File(text.into())),
            },
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

const SENSORS: [(&str, Choice); 7] = [
    ("auto", Choice::Auto),
    ("any", Choice::Any),
    ("ina3221", Choice::Kind(SensorKind::Ina3221)),
    ("rapl", Choice::Kind(SensorKind::Rapl)),
    ("acpi", Choice::Kind(SensorKind::Acpi)),
    ("hwmon", Choice::Kind(SensorKind::Hwmon)),
    ("none", Choice::None),
];

impl Setting for Choice {
    fn hint() -> Option<&'static str> {
        Some("auto|any|ina3221|rapl|acpi|hwmon|none")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let known = SENSORS.iter().find(|(name, _)| Some(*name) == value.text());
        known
            .map(|&(_, choice)| choice)
            .ok_or_else(|| value.is_not("one of auto, any, ina3221, rapl, acpi, hwmon, none"))
    }
    fn show(&self) -> Option<String> {
        let name = SENSORS.iter().find(|(_, choice)| choice == self);
        name.map(|(name, _)| literal(name))
    }
}

impl Setting for BoardName {
    fn hint() -> Option<&'static str> {
        Some("NAME")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let known = || boards().iter().map(|board| board.name.as_str());
        let found = known().find(|name| Some(*name) == value.text());
        found.map(Self).ok_or_else(|| {
            let names: Vec<_> = known().collect();
            value.is_not(format_args!("a board that e4 knows: {}", names.join(", ")))
        })
    }
    fn show(&self) -> Option<String> {
        Some(literal(self.0))
    }
}

/// Name of a known board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoardName(pub &'static str);

/// Labels of power rails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rails(pub Vec<String>);

impl Setting for Rails {
    fn hint() -> Option<&'static str> {
        Some("A+B")
    }
    fn read(value: &Value<'_>) -> Result<Self, String> {
        let text = value.text().unwrap_or_default();
        let labels: Vec<String> = text
            .split('+')
            .map(|label| label.trim().to_owned())
            .collect();
        let twice = (1..labels.len()).any(|at| labels[..at].contains(&labels[at]));
        if twice || labels.iter().any(String::is_empty) {
            return Err(value.is_not("labels of rails with + between them, each once"));
        }
        Ok(Self(labels))
    }
    fn show(&self) -> Option<String> {
        Some(literal(&self.0.join("+")))
    }
}
