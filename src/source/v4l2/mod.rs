//! Cameras, through the kernel's V4L2 interface.
//!
//! Guarantees: frames are the driver's own buffers, handed on without a copy
//! (Motion JPEG is decoded once); at least two buffers always stay with the
//! driver; what the driver *answers* is believed, not what it was asked for; the
//! kernel's timestamps are carried on where they are of our clock. Frames that
//! were lost, corrupt or short are gaps, counted by kind, and never captured
//! ones. A device that fails, is unplugged, comes back under another number or
//! is bound to its driver again is reported once and streams again within two
//! seconds of its return; the pipeline runs on meanwhile.
//!
//! Not guaranteed: that the driver tells the truth about what it lost. A run of
//! frames lost before the first one, or while the device was away, is not
//! guessed at (`interruption` counts the latter).
//!
//! Costs two calls to the kernel and no allocation a frame.
//!
//! ```no_run
//! use e4::source::v4l2::{Camera, CameraOptions};
//! use e4::source::{FrameSource, Next};
//!
//! let mut camera = Camera::new(CameraOptions::of("/dev/video0"));
//! camera.start(4, &|| true)?;
//! while let Next::Frame(slot) = camera.next(u64::MAX)? {
//!     println!("{} at {} ns", slot.meta.sequence, slot.meta.timestamp_ns);
//!     camera.release(slot);
//! }
//! # Ok::<(), e4::source::SourceError>(())
//! ```

#[allow(missing_docs, reason = "the kernel's names, documented there")]
mod abi;
mod answers;
mod buffers;
mod camera;
mod controls;
mod discover;
mod formats;
mod gaps;
mod listing;
mod negotiate;
mod node;
mod recovery;
mod stream;

pub use super::Reporter;
pub use camera::{Camera, CameraOptions};
pub use controls::{Choice, PowerLine, Wanted};
pub use discover::{SelectError, Selector, holders};
pub use formats::{CameraFormat, FourCc, KNOWN};
pub use listing::{FormatListing, Listing, RateListing, SizeListing, find, list, rate};
pub use negotiate::Wish;
