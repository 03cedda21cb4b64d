//! Where frames come from: the seam [`FrameSource`] and its implementations.

pub mod clip;
pub mod generator;
mod reporter;
pub mod v4l2;

pub use reporter::Reporter;

use crate::telemetry::counted;
use crate::tensor::Slot;
use crate::tensor::memory::TooLarge;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

/// What a source says about itself before the first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceInfo {
    /// Name for people: a path, a device, `generator`.
    pub name: String,
    /// True for a source that goes on whether or not anybody keeps up.
    pub live: bool,
    /// Nominal spacing of its frames, where it is known.
    pub frame_interval_ns: Option<u64>,
    /// Names of the classes that frame labels index, empty when unlabelled.
    pub labels: Vec<String>,
}

/// What [`FrameSource::next`] came back with.
#[derive(Debug)]
pub enum Next {
    /// A filled slot.
    Frame(Slot),
    /// A frame was captured but cannot be used; it counts as captured and as
    /// dropped with this reason. The slot stays with the source.
    Dropped(&'static str),
    /// Part of the source could not be read. What was whole has been delivered;
    /// the source goes on (the next clip of a folder) or ends.
    Damaged(SourceError),
    /// Nothing arrived before the deadline.
    Idle,
    /// Every slot is in use downstream: release one and call again.
    Starved,
    /// The source has ended; every later call says so again.
    End,
}

/// A source of frames. It owns the slots that nobody downstream holds.
///
/// Called from one thread. After [`start`](Self::start) the steady state
/// allocates nothing, for frames no larger than the first of their clip.
pub trait FrameSource: Send + Debug {
    /// Name, kind, nominal rate and labels.
    fn info(&self) -> &SourceInfo;

    /// Makes ready `slots` frame slots and starts the flow of frames.
    ///
    /// A source that has to wait here asks `wanted` every 50 ms or more often,
    /// and once that says false gives up early, with `Ok`: nobody will call
    /// [`next`](Self::next) then.
    ///
    /// # Errors
    /// When the source cannot deliver a single frame.
    fn start(&mut self, slots: usize, wanted: &dyn Fn() -> bool) -> Result<(), SourceError>;

    /// The next frame, waiting for it until `deadline_ns` of
    /// [`crate::monotonic::now_ns`] at most.
    ///
    /// # Errors
    /// When the source is broken for good; [`Next::Damaged`] is the milder case.
    fn next(&mut self, deadline_ns: u64) -> Result<Next, SourceError>;

    /// Gives back a slot that [`next`](Self::next) handed out.
    fn release(&mut self, slot: Slot);

    /// Tells the source where its sentences for the user go; until then, and for
    /// sources that have none, nowhere.
    fn report_to(&mut self, _reporter: Reporter) {}

    /// Frames that never reached us, by kind, counted so far.
    fn gaps(&self) -> BTreeMap<&'static str, u64> {
        BTreeMap::new()
    }
}

/// Why a source cannot go on. The text is one sentence that names the file or
/// the device.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not a frame can be had from it.
    #[error("{path}: {reason}", path = path.display())]
    Undecodable {
        /// File or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Frames were delivered, then the data broke off.
    #[error("{path}: {reason} after {frames}", path = path.display(), frames = counted(*frames, "whole frame"))]
    Truncated {
        /// File.
        path: PathBuf,
        /// What broke.
        reason: String,
        /// Whole frames delivered before.
        frames: u64,
    },
    /// Every frame was reached, and some of them are damaged.
    #[error("{path}: {undecodable} of {frames} do not decode", path = path.display(), frames = counted(*frames, "frame"))]
    Spoiled {
        /// File.
        path: PathBuf,
        /// Frames that do not decode.
        undecodable: u64,
        /// All of its frames.
        frames: u64,
    },
    /// Its frames do not fit the memory that is free.
    #[error("{name}: {error}")]
    Memory {
        /// The source's name.
        name: String,
        /// What does not fit.
        error: TooLarge,
    },
    /// A camera cannot be had.
    #[error("{name}: {reason}")]
    Camera {
        /// The camera, by the name that it was asked for.
        name: String,
        /// Why not.
        reason: String,
    },
}
