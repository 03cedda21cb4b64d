//! The engine seam: a bundle's segments, run from and into caller-owned buffers.
//!
//! Guarantees: no type of an implementation crosses the seam; a buffer handed
//! to [`Segment::enqueue`] comes back from [`Segment::wait`], so nobody can
//! touch it while a device works on it.

pub mod bundle;
pub mod cpu;

use std::fmt::Debug;

/// Memory that an engine reads and writes; made by [`Engine::buffer`].
#[derive(Debug)]
pub enum Buffer {
    /// Host memory.
    Host(Vec<f32>),
    /// Memory of a device, with its own way back to the host.
    Device(Box<dyn DeviceBuffer>),
}

/// Device memory behind a [`Buffer`].
pub trait DeviceBuffer: Send + Debug {
    /// Number of f32 elements.
    fn len(&self) -> usize;
    /// True when it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Copies the device's memory into `host`, of the same length.
    ///
    /// # Errors
    /// When the device fails.
    fn read(&self, host: &mut [f32]) -> Result<(), EngineError>;
    /// Copies `host`, of the same length, into the device's memory.
    ///
    /// # Errors
    /// When the device fails.
    fn write(&mut self, host: &[f32]) -> Result<(), EngineError>;
}

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

/// One loaded segment. `enqueue` starts a run, `wait` ends it and gives the
/// buffers back; between the two the caller may do something else, such as
/// enqueueing the next segment before the gate's verdict is in.
pub trait Segment: Send + Debug {
    /// Starts a run. One run may be under way at a time.
    ///
    /// # Errors
    /// When a buffer has the wrong length or kind, a run is under way already,
    /// or the device fails.
    fn enqueue(&mut self, io: SegmentIo) -> Result<(), EngineError>;

    /// Waits for the run to end and gives the buffers back.
    ///
    /// # Errors
    /// When no run is under way or it failed.
    fn wait(&mut self) -> Result<SegmentIo, EngineError>;
}

/// Loads segments and makes the buffers that they work on.
pub trait Engine: Send + Debug {
    /// `cpu`, `tensorrt`.
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
    fn load(&self, bundle: &bundle::Bundle, index: usize) -> Result<Box<dyn Segment>, EngineError>;
}

/// Why an engine could not load or run a segment.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The segment's file does not load.
    #[error("{file}: {reason}")]
    Load {
        /// File in the bundle.
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
}
