//! Clip files and folders of clips, as a [`FrameSource`](super::FrameSource).
//!
//! What a file holds is told by its first bytes, never by its name: Y4M and
//! Motion-JPEG AVI are read here, samples without any header by the caller's
//! word, everything else by an `ffmpeg` child process.
//!
//! Guarantees: every whole frame ahead of damage is delivered, then the damage
//! is reported once, as are the frames within it that do not decode; no size that a header claims is allocated before it is
//! found plausible; Y4M and raw samples go from the file straight into the slot
//! and allocate nothing from frame to frame; an `ffmpeg` child outlives neither
//! its clip nor this process.
//!
//! Not guaranteed: that damage within a compressed frame is noticed (a decoder
//! may find another picture in it), nor that a decoder stopped by damage still
//! hands out the two or three frames it held back for reordering.
//!
//! ```no_run
//! use e4::source::clip::{ClipOptions, ClipSource};
//! use e4::source::{FrameSource, Next};
//!
//! let mut clip = ClipSource::open("walk.y4m".as_ref(), ClipOptions::default())?;
//! clip.start(2, &|| true)?;
//! while let Next::Frame(slot) = clip.next(u64::MAX)? {
//!     println!("{} ns: {} bytes", slot.meta.timestamp_ns, slot.data.len());
//!     clip.release(slot);
//! }
//! # Ok::<(), e4::source::SourceError>(())
//! ```

mod avi;
mod child;
mod companions;
mod extent;
mod ffmpeg;
mod folder;
mod formats;
mod input;
pub(super) mod jpeg;
mod labels;
mod nut;
mod raw;
mod reader;
mod run;
mod words;
mod y4m;

pub use raw::RawLayout;
pub use run::ClipSource;

use crate::stop::Stop;
use std::path::{Path, PathBuf};

/// Every file that a [`ClipSource`] of `path` reads, as far as it can be listed.
#[must_use]
pub fn files(path: &Path) -> Vec<PathBuf> {
    folder::files(path)
}

/// How a [`ClipSource`] reads and paces its clips.
#[derive(Clone, Debug)]
pub struct ClipOptions {
    /// Names of the classes, in the order that labels index; empty takes those
    /// of `labels.csv` or of the folders, sorted.
    pub labels: Vec<String>,
    /// Times to play the file or folder; `None` plays on until stopped.
    pub passes: Option<u32>,
    /// Hand out each frame when its media time has come, instead of at once.
    pub realtime: bool,
    /// Layout of files that hold nothing but samples; `None` reads containers.
    pub raw: Option<RawLayout>,
    /// Spacing of the frames of a clip that does not tell its own.
    pub fallback_interval_ns: u64,
    /// The `ffmpeg` program, looked up in `PATH` unless it has a slash.
    pub ffmpeg: PathBuf,
    /// Longest wait for data of `ffmpeg`, or of a pipe, before it is given up.
    pub patience_ns: u64,
    /// The run's request to end: no wait in here goes on for long after it.
    pub stop: Stop,
}

impl Default for ClipOptions {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            passes: Some(1),
            realtime: false,
            raw: None,
            fallback_interval_ns: 40_000_000,
            ffmpeg: PathBuf::from("ffmpeg"),
            patience_ns: 10_000_000_000,
            stop: Stop::new(),
        }
    }
}
