//! The engine seam: a bundle's segments, run from and into caller-owned buffers.
//!
//! Guarantees: no type of an implementation crosses the seam; a buffer handed
//! to [`Segment::enqueue`] comes back from [`Segment::wait`], or in the error of
//! either, so nobody can touch it while a device works on it and a failed frame
//! costs no buffer. Dropping a segment while a run is under way is clean; the
//! run's buffers go with it.
//!
//! Non-guarantees: when the work is done. A synchronous engine computes in
//! `wait`, an asynchronous one from `enqueue` on: the time of a run is that of
//! both calls together.
//!
//! ```no_run
//! use e4::engine::{Engine, SegmentIo, bundle::Bundle, native::NativeEngine};
//!
//! let bundle = Bundle::open("engines/mobilenetv2-e5")?;
//! let engine = NativeEngine::new();
//! let mut segment = engine.load(&bundle, 0)?;
//! let mut io = SegmentIo::new(&engine, &bundle.manifest().segments[0])?;
//! io.input.write_from(&vec![0.0; io.input.len()])?;
//! segment.enqueue(io)?;
//! let io = segment.wait()?;
//! println!("{:?}", io.pooled.as_host());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod auto;
mod buffer;
pub mod bundle;
pub mod check;
pub mod cpu;
pub mod native;
pub mod offload;
#[cfg(feature = "ort")]
pub mod ort;
mod pending;

pub use buffer::{Buffer, DeviceBuffer};

use bundle::{Bundle, SegmentSpec, elements};
use std::fmt::Debug;

/// The buffers of one run of a segment.
#[derive(Debug)]
pub struct SegmentIo {
    /// The segment's input: the image tensor or the previous segment's output.
    pub input: Buffer,
    /// Feature map for the next segment; `None` in the last segment.
    pub output: Option<Buffer>,
    /// Pooled feature for the exit's head.
    pub pooled: Buffer,
}

impl SegmentIo {
    /// Fresh zeroed buffers of the lengths that `segment` needs.
    ///
    /// # Errors
    /// When the engine has no memory left.
    pub fn new(engine: &dyn Engine, segment: &SegmentSpec) -> Result<Self, EngineError> {
        let output = segment.output.as_ref();
        Ok(Self {
            input: engine.buffer(elements(&segment.input))?,
            output: output.map(|s| engine.buffer(elements(s))).transpose()?,
            pooled: engine.buffer(elements(&segment.pooled))?,
        })
    }
}

/// One loaded segment. `enqueue` starts a run, `wait` ends it and gives the
/// buffers back; between the two the caller may do something else, such as
/// enqueueing the next segment before the gate's verdict is in.
pub trait Segment: Send + Debug {
    /// Starts a run. One run may be under way at a time.
    ///
    /// # Errors
    /// When a buffer has the wrong length or kind, a run is under way already,
    /// or the device fails. The error holds `io`; a run under way goes on.
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), RunError>;

    /// Waits for the run to end and gives the buffers back.
    ///
    /// # Errors
    /// When no run is under way or it failed; after a failed run the error holds
    /// the buffers, unless the device is lost, and the segment can run again.
    fn wait(&mut self) -> Result<SegmentIo, RunError>;
}

/// Loads segments and makes the buffers that they work on.
pub trait Engine: Send + Debug {
    /// `native`, `tract`, `auto`, `ort`, `tensorrt`.
    fn name(&self) -> &'static str;

    /// True when a run goes on while the caller does something else, so that
    /// speculating on the next segment can gain anything.
    fn is_asynchronous(&self) -> bool;

    /// A zeroed buffer of `len` f32 elements that this engine's segments accept.
    ///
    /// # Errors
    /// When the device has no memory left.
    fn buffer(&self, len: usize) -> Result<Buffer, EngineError>;

    /// Loads segment `index` of `bundle`.
    ///
    /// # Errors
    /// When its file cannot be read or does not match the manifest's shapes.
    fn load(&self, bundle: &Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError>;
}

/// Why an engine could not load or run a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The segment's file does not load.
    #[error("{file}: {reason}")]
    Load {
        /// Path of the file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A run failed.
    #[error("segment {segment}: {reason}")]
    Run {
        /// Index of the segment.
        segment: usize,
        /// What went wrong.
        reason: String,
    },
    /// A copy from or to a buffer of another length.
    #[error("a buffer of {buffer} elements was copied from or to {host} elements")]
    Length {
        /// Elements of the buffer.
        buffer: usize,
        /// Elements on the host's side.
        host: usize,
    },
}

/// A run that was refused or failed, with the buffers handed back.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct RunError {
    /// Why.
    pub error: EngineError,
    /// The buffers; `None` when there was no run, or when a lost device has
    /// taken them along.
    pub io: Option<SegmentIo>,
}

impl RunError {
    /// A refusal or failure of segment `segment`.
    pub(crate) fn new(segment: usize, reason: impl Into<String>, io: Option<SegmentIo>) -> Self {
        let reason = reason.into();
        Self {
            error: EngineError::Run { segment, reason },
            io,
        }
    }
}

impl From<RunError> for EngineError {
    fn from(failed: RunError) -> Self {
        failed.error
    }
}

/// Manifest of segment `index`.
pub(crate) fn segment_spec(bundle: &Bundle, index: usize) -> Result<&SegmentSpec, EngineError> {
    let segments = &bundle.manifest().segments;
    segments.get(index).ok_or_else(|| EngineError::Load {
        file: bundle.path(bundle::MANIFEST).display().to_string(),
        reason: format!("there are {} segments, none is {index}", segments.len()),
    })
}

/// A refusal of the segment `spec` of `bundle`, its file named.
pub(crate) fn load_error(bundle: &Bundle, spec: &SegmentSpec, reason: String) -> EngineError {
    EngineError::Load {
        file: bundle.path(&spec.file).display().to_string(),
        reason,
    }
}

/// The buffer lengths that a segment accepts, in f32 elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IoLengths {
    input: usize,
    output: Option<usize>,
    pooled: usize,
}

impl IoLengths {
    pub(crate) fn of(segment: &SegmentSpec) -> Self {
        Self {
            input: elements(&segment.input),
            output: segment.output.as_ref().map(elements),
            pooled: elements(&segment.pooled),
        }
    }

    /// Zeroed buffers of these lengths in host memory.
    #[cfg(feature = "ort")]
    pub(crate) fn zeros(&self) -> SegmentIo {
        let zeros = |len| Buffer::Host(vec![0.0; len]);
        SegmentIo {
            input: zeros(self.input),
            output: self.output.map(zeros),
            pooled: zeros(self.pooled),
        }
    }

    /// What is wrong with `io`, if anything, for an engine that works in host
    /// memory.
    pub(crate) fn host_misfit(&self, io: &SegmentIo) -> Option<String> {
        let is_device = |b: &Buffer| b.as_host().is_none();
        if is_device(&io.input) || is_device(&io.pooled) || io.output.iter().any(is_device) {
            return Some("the buffers are not in host memory".to_owned());
        }
        self.misfit(io)
    }

    /// What is wrong with `io`'s lengths, if anything.
    pub(crate) fn misfit(&self, io: &SegmentIo) -> Option<String> {
        let wrong = |name, expected: usize, found: usize| {
            (expected != found).then(|| format!("{name} holds {found} elements, not {expected}"))
        };
        wrong("input", self.input, io.input.len())
            .or_else(|| wrong("pooled", self.pooled, io.pooled.len()))
            .or_else(|| match (self.output, &io.output) {
                (Some(expected), Some(output)) => wrong("output", expected, output.len()),
                (None, None) => None,
                (Some(_), None) => Some("an output buffer is needed".to_owned()),
                (None, Some(_)) => Some("the last segment has no output".to_owned()),
            })
    }
}
