//! Reading a trace ([`crate::telemetry::trace`] says what it holds), strictly.
//!
//! Guarantees: what was read is whole: known classes, probabilities, exits that the
//! bundle and the policy have, frames in order, clips with their beginnings. Any bytes
//! are a trace or one sentence with file and line. Cost: a microsecond a line.

use crate::gates::ExitPolicy;
use crate::telemetry::MAX_EXITS;
use crate::telemetry::trace::{SCHEMA, TraceHead};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Larger files are no traces that fit in memory.
const LIMIT_BYTES: u64 = 4 << 30;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A line is not as it must be.
    #[error("{path}:{line}: {reason}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// What an exit point said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TraceExit {
    /// Class of the highest logit.
    pub class: u16,
    /// Its softmax.
    pub softmax: f32,
    /// Probability that the gate gave for leaving.
    pub gate: f32,
}

/// A frame of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceFrame {
    /// Number among the captured frames.
    pub frame: u64,
    /// Its clip.
    pub clip: u32,
    /// First result of its clip.
    pub first: bool,
    /// True class, where it is known.
    pub label: Option<u16>,
    /// Exit taken, from 0.
    pub exit: u8,
    /// Exit points evaluated: entries `0..=exit`.
    pub exits: [TraceExit; MAX_EXITS],
}

impl TraceFrame {
    /// Whether the answer is right, where that is known.
    #[must_use]
    pub fn is_right(&self) -> Option<bool> {
        let class = self.exits[usize::from(self.exit)].class;
        self.label.map(|label| label == class)
    }
}

/// A whole trace.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadTrace {
    /// What it is of.
    pub head: TraceHead,
    /// The exit policy.
    pub policy: ExitPolicy,
    /// All frames, in the order of capture.
    pub frames: Vec<TraceFrame>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    frame: u64,
    clip: u32,
    first: bool,
    #[serde(borrow)]
    label: Option<std::borrow::Cow<'a, str>>,
    exit: usize,
    #[serde(borrow)]
    exits: Vec<Exit<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exit<'a> {
    #[serde(borrow)]
    class: std::borrow::Cow<'a, str>,
    softmax: f32,
    gate: f32,
}

impl ReadTrace {
    /// Whether every frame went to the bundle's last exit, by policy.
    #[must_use]
    pub fn is_full_depth(&self) -> bool {
        self.policy == ExitPolicy::Always(self.head.exits)
    }

    /// Reads and checks a trace.
    ///
    /// # Errors
    /// When the file cannot be read, or at the first line that is not as it must be.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let io = |source| TraceError::Io {
            path: path.to_owned(),
            source,
        };
        let size = fs::metadata(path).map_err(io)?.len();
        if size > LIMIT_BYTES {
            return Err(io(io::ErrorKind::FileTooLarge.into()));
        }
        let bytes = fs::read(path).map_err(io)?;
        Self::parse(&bytes).map_err(|(line, reason)| TraceError::Line {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    /// Reads a trace from its bytes.
    ///
    /// # Errors
    /// Number of the first bad line, from 1, and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let mut lines = bytes.split_inclusive(|&b| b == b'\n').zip(1_usize..);
        let (first, _) = lines
            .next()
            .ok_or_else(|| (1, "is empty; a trace begins with its schema".to_owned()))?;
        let (head, policy) = head(whole(first).map_err(|why| (1, why))?).map_err(|why| (1, why))?;
        let mut trace = Self {
            head,
            policy,
            frames: Vec::new(),
        };
        for (line, number) in lines {
            let frame = whole(line).and_then(|line| trace.frame(line));
            trace.frames.push(frame.map_err(|why| (number, why))?);
        }
        Ok(trace)
    }

    fn frame(&self, line: &[u8]) -> Result<TraceFrame, String> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|e| reason(&e))?;
        if line.exit == 0 || line.exit > self.head.exits {
            return Err(format!(
                "exit {} is none of the exits 1 to {}",
                line.exit, self.head.exits
            ));
        }
        if let ExitPolicy::Always(exit) = self.policy
            && exit != line.exit
        {
            return Err(format!("exit {} under {}", line.exit, self.policy));
        }
        if line.exits.len() != line.exit {
            return Err(format!(
                "exits holds {} entries; up to exit {} they are {}",
                line.exits.len(),
                line.exit,
                line.exit
            ));
        }
        let mut exits = [TraceExit::default(); MAX_EXITS];
        for (place, exit) in exits.iter_mut().zip(&line.exits) {
            *place = self.exit(exit)?;
        }
        let label = line.label.map(|name| self.class(&name)).transpose()?;
        let frame = TraceFrame {
            frame: line.frame,
            clip: line.clip,
            first: line.first,
            label,
            exit: u8::try_from(line.exit - 1).unwrap_or(u8::MAX),
            exits,
        };
        self.follows(&frame)?;
        Ok(frame)
    }

    fn exit(&self, exit: &Exit<'_>) -> Result<TraceExit, String> {
        for (what, value) in [("softmax", exit.softmax), ("gate", exit.gate)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{what} {value} is no probability"));
            }
        }
        Ok(TraceExit {
            class: self.class(&exit.class)?,
            softmax: exit.softmax,
            gate: exit.gate,
        })
    }

    fn class(&self, name: &str) -> Result<u16, String> {
        let place = self.head.labels.iter().position(|label| label == name);
        place
            .and_then(|place| u16::try_from(place).ok())
            .ok_or_else(|| format!("{name:?} is none of the labels of the first line"))
    }

    /// Whether `frame` may come after those so far.
    fn follows(&self, frame: &TraceFrame) -> Result<(), String> {
        let last = self.frames.last();
        if let Some(last) = last.filter(|last| frame.frame <= last.frame) {
            let (now, before) = (frame.frame, last.frame);
            return Err(format!("frame {now} comes after frame {before}"));
        }
        let first = last.is_none_or(|last| last.clip != frame.clip);
        if first != frame.first {
            let is = if first { "a" } else { "no" };
            return Err(format!(
                "first is {}, but this is {is} first frame of a clip",
                frame.first
            ));
        }
        Ok(())
    }
}

fn head(line: &[u8]) -> Result<(TraceHead, ExitPolicy), String> {
    let head: TraceHead = serde_json::from_slice(line).map_err(|e| {
        let reason = reason(&e);
        format!("{reason}; a trace begins with its schema, {SCHEMA:?}")
    })?;
    if head.schema != SCHEMA {
        return Err(format!("the schema is {:?}, not {SCHEMA:?}", head.schema));
    }
    if head.exits == 0 || head.exits > MAX_EXITS {
        let exits = head.exits;
        return Err(format!("exits is {exits}; a bundle has 1 to {MAX_EXITS}"));
    }
    let policy: ExitPolicy = head
        .exit_policy
        .parse()
        .map_err(|error| format!("exit_policy: {error}"))?;
    policy
        .check(head.exits)
        .map_err(|error| format!("exit_policy: {error}"))?;
    Ok((head, policy))
}

/// A line without its newline; one that lacks it was torn.
fn whole(line: &[u8]) -> Result<&[u8], String> {
    let torn = || "the line is torn: its end is missing".to_owned();
    line.strip_suffix(b"\n").ok_or_else(torn)
}

/// What serde found, without its own count of lines.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string().replace('\n', " ");
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} (column {column})"),
        None => text,
    }
}

#[cfg(test)]
mod tests;
