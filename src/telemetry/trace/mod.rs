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
//! nothing; what was written reads back the same; [`ReadTrace::read`] refuses whatever is not
//! whole, with file and line. Not guaranteed: that a trace is of all frames; an
//! interrupted run leaves those up to then, each line whole or the last one torn,
//! which is refused. Costs 1-2 us a frame and a system call.

mod read;
mod write;

pub use read::{ReadTrace, TraceError, TraceExit, TraceFrame};
pub use write::Trace;

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests;
