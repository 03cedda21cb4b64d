//! The trace of a run: what each exit point said of each frame, one line a frame.
//!
//! A trace is what a simulation replays: where frames left under one exit policy,
//! and how sure each gate was. The file is JSON lines. The first one says what was
//! run ([`TraceHead`]):
//!
//! ```text
//! {"schema":"e4.trace/1","bundle":"tiny-e2","bundle_sha256":"...","exit_policy":"gates","exits":2,"endless":false,"labels":["walk","wave"]}
//! {"frame":0,"clip":0,"first":true,"label":"walk","exit":2,"exits":[{"class":"wave","softmax":0.51,"gate":0.11},{"class":"walk","softmax":0.93,"gate":1}]}
//! ```
//!
//! `frame` numbers captured frames and rises; a number that is missing was dropped.
//! `first` marks the first result of a clip, where the temporal state begins anew.
//! `label` is null where the source knows none. `exit` counts from 1, and `exits`
//! holds the exit points that were evaluated, the one taken last: class of the
//! highest logit, its softmax, and the probability that the gate gave for leaving
//! (1 at the last exit point of the bundle).
//!
//! Guarantees: writing a line into the buffer that [`Trace`] keeps allocates
//! nothing; [`ReadTrace`](crate::sim::trace::ReadTrace) reads back what was written and
//! refuses whatever is not whole, with file and line. Not guaranteed: that a trace is of all frames; an
//! interrupted run leaves those up to then, each line whole or the last one torn,
//! which is refused. Costs 1-2 us a frame and a system call.

use super::{FrameResult, MAX_EXITS, Output};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The format's name, in every trace's first line.
pub const SCHEMA: &str = "e4.trace/1";

/// What a trace is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceHead {
    /// [`SCHEMA`].
    pub schema: String,
    /// Name of the bundle that ran.
    pub bundle: String,
    /// Its digest.
    pub bundle_sha256: String,
    /// The exit policy, as `--exit-policy` takes it.
    pub exit_policy: String,
    /// Exit points of the bundle.
    pub exits: usize,
    /// The source was an endless stream: its clips are not known to begin or end.
    pub endless: bool,
    /// Class names of the bundle.
    pub labels: Vec<String>,
}

/// Bytes of a line without class names: every number at its longest.
const LONGEST: usize = 160 + MAX_EXITS * 160;

/// A trace that is being written.
#[derive(Debug)]
pub struct Trace {
    output: Box<dyn Output>,
    /// The first line, until it is written.
    head: Option<Vec<u8>>,
    classes: Vec<String>,
    line: Vec<u8>,
    clip: Option<u32>,
}

impl Trace {
    /// A trace into `output`.
    #[must_use]
    pub fn new(head: &TraceHead, output: Box<dyn Output>) -> Self {
        let names = head.labels.iter();
        let classes: Vec<String> = names
            .map(|name| serde_json::Value::from(name.as_str()).to_string())
            .collect();
        let longest = classes.iter().map(String::len).max().unwrap_or(0).max(4);
        let mut first = serde_json::json!(head).to_string().into_bytes();
        first.push(b'\n');
        Self {
            output,
            head: Some(first),
            line: Vec::with_capacity(LONGEST + (MAX_EXITS + 1) * longest),
            classes,
            clip: None,
        }
    }

    /// Where it goes.
    #[must_use]
    pub fn output(&self) -> &dyn Output {
        self.output.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.line.capacity()
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn record(&mut self, result: &FrameResult) -> io::Result<()> {
        self.begin()?;
        let first = self.clip.replace(result.clip) != Some(result.clip);
        self.line.clear();
        self.format(result, first)?;
        self.output.write(&self.line)
    }

    /// Writes the first line, if that was not done, and what is held back.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn finish(&mut self) -> io::Result<()> {
        self.begin()?;
        self.output.flush()
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.head.take() {
            Some(head) => self.output.write(&head),
            None => Ok(()),
        }
    }

    fn format(&mut self, result: &FrameResult, first: bool) -> io::Result<()> {
        let Self { line, classes, .. } = self;
        write!(
            line,
            "{{\"frame\":{},\"clip\":{},\"first\":{first},\"label\":",
            result.frame, result.clip
        )?;
        line.extend_from_slice(name(classes, result.label));
        write!(line, ",\"exit\":{},\"exits\":[", u16::from(result.exit) + 1)?;
        for (place, exit) in result.evaluated().iter().enumerate() {
            line.extend_from_slice(if place > 0 { b",{" } else { b"{" });
            line.extend_from_slice(b"\"class\":");
            line.extend_from_slice(name(classes, Some(exit.class)));
            line.extend_from_slice(b",\"softmax\":");
            number(line, exit.softmax)?;
            line.extend_from_slice(b",\"gate\":");
            number(line, exit.gate)?;
            line.push(b'}');
        }
        line.extend_from_slice(b"]}\n");
        Ok(())
    }
}

fn name(names: &[String], index: Option<u16>) -> &[u8] {
    index
        .and_then(|index| names.get(usize::from(index)))
        .map_or(b"null", |name| name.as_bytes())
}

/// The shortest text that reads back as `value`; JSON knows no infinities.
fn number(line: &mut Vec<u8>, value: f32) -> io::Result<()> {
    if value.is_finite() {
        return write!(line, "{value}");
    }
    line.extend_from_slice(b"null");
    Ok(())
}
