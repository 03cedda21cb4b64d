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
pub use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
};

/// [`std::cell::UnsafeCell`] with the interface of loom's, which checks that no
/// two threads are in a cell at once.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// A cell holding `value`.
    pub const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `f` with a pointer for reading; dereferencing it is the caller's
    /// `unsafe`.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get().cast_const())
    }

    /// Calls `f` with a pointer for writing; dereferencing it is the caller's
    /// `unsafe`.
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
