//! The one place that swaps the standard library's atomics for loom's.
//!
//! Everything that hands data between threads by a protocol of our own takes
//! its atomics, fences and cells from here, so that `--cfg loom` model-checks
//! the very code that ships.

#[cfg(not(loom))]
pub use std::sync::Arc;
#[cfg(not(loom))]
#[allow(
    clippy::disallowed_types,
    reason = "this is the module that swaps them"
)]
pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
