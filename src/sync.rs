//! The one place that swaps the standard library's atomics for loom's.
//!
//! Everything that hands data between threads by a protocol of our own takes
//! its atomics, fences and cells from here, so that `--cfg loom` model-checks
//! the very code that ships.

#[cfg(not(loom))]
pub use std::sync::Arc;
#[cfg(not(loom))]
pub use std::sync::atomic::{Ordering, fence};

/// A newtype, so that `clippy.toml` can disallow the standard type elsewhere.
#[cfg(not(loom))]
macro_rules! atomic {
    ($name:ident, $value:ty) => {
        #[doc = concat!("[`std::sync::atomic::", stringify!($name), "`], or loom's.")]
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(#[expect(clippy::disallowed_types)] std::sync::atomic::$name);

        impl $name {
            /// An atomic holding `value`.
            #[expect(clippy::disallowed_types)]
            pub const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }
        }

        impl std::ops::Deref for $name {
            #[expect(clippy::disallowed_types)]
            type Target = std::sync::atomic::$name;

            #[inline]
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    };
}

#[cfg(not(loom))]
atomic!(AtomicBool, bool);
#[cfg(not(loom))]
atomic!(AtomicU32, u32);
#[cfg(not(loom))]
atomic!(AtomicU64, u64);
#[cfg(not(loom))]
atomic!(AtomicUsize, usize);

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
