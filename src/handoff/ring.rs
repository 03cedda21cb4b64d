//! The single-producer, single-consumer ring under a hop: `ringbuf` with its
//! caching endpoints, or under loom a model of it.
//!
//! Each value has cache lines of its own: with several to a line, the producer's
//! next write would take the line from a consumer that still reads it.
//!
//! Not guaranteed by our models: `ringbuf`'s own memory ordering. The stress
//! test in `tests/ring.rs` and Miri (`tests/miri/run`) look at that.

#[cfg(loom)]
pub(crate) use model::{RingRx, RingTx, ring};
#[cfg(not(loom))]
pub(crate) use shipped::{RingRx, RingTx, ring};

#[cfg(not(loom))]
mod shipped {
    use ringbuf::traits::{Consumer, Observer, Producer, Split};
    use ringbuf::{HeapCons, HeapProd, HeapRb};
    use std::fmt;

    /// A value in cache lines of its own.
    #[repr(align(64))]
    struct Cell<T>(T);

    pub(crate) struct RingTx<T>(HeapProd<Cell<T>>);
    pub(crate) struct RingRx<T>(HeapCons<Cell<T>>);

    /// A ring of `capacity` elements, at least one.
    pub(crate) fn ring<T>(capacity: usize) -> (RingTx<T>, RingRx<T>) {
        let (tx, rx) = HeapRb::new(capacity.max(1)).split();
        (RingTx(tx), RingRx(rx))
    }

    impl<T> RingTx<T> {
        #[inline]
        pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
            self.0.try_push(Cell(value)).map_err(|cell| cell.0)
        }

        #[inline]
        pub(crate) fn is_full(&self) -> bool {
            self.0.is_full()
        }
    }

    impl<T> RingRx<T> {
        #[inline]
        pub(crate) fn pop(&mut self) -> Option<T> {
            self.0.try_pop().map(|cell| cell.0)
        }

        #[inline]
        pub(crate) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
    }

    impl<T> fmt::Debug for RingTx<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "RingTx({}/{})", self.0.occupied_len(), self.0.capacity())
        }
    }

    impl<T> fmt::Debug for RingRx<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "RingRx({}/{})", self.0.occupied_len(), self.0.capacity())
        }
    }
}

#[cfg(loom)]
mod model {
    use crate::sync::{Arc, AtomicUsize, Ordering, UnsafeCell};

    /// Indices only rise; what lies between them is initialised.
    #[derive(Debug)]
    struct Shared<T> {
        cells: Vec<UnsafeCell<Option<T>>>,
        read: AtomicUsize,
        write: AtomicUsize,
    }

    #[derive(Debug)]
    pub(crate) struct RingTx<T>(Arc<Shared<T>>);
    #[derive(Debug)]
    pub(crate) struct RingRx<T>(Arc<Shared<T>>);

    // SAFETY: a cell is touched by the side that the indices give it to.
    unsafe impl<T: Send> Send for RingTx<T> {}
    // SAFETY: as above.
    unsafe impl<T: Send> Send for RingRx<T> {}

    pub(crate) fn ring<T>(capacity: usize) -> (RingTx<T>, RingRx<T>) {
        let shared = Arc::new(Shared {
            cells: (0..capacity.max(1))
                .map(|_| UnsafeCell::new(None))
                .collect(),
            read: AtomicUsize::new(0),
            write: AtomicUsize::new(0),
        });
        (RingTx(shared.clone()), RingRx(shared))
    }

    impl<T> Shared<T> {
        fn cell(&self, index: usize) -> &UnsafeCell<Option<T>> {
            &self.cells[index % self.cells.len()]
        }
    }

    impl<T> RingTx<T> {
        pub(crate) fn push(&mut self, value: T) -> Result<(), T> {
            if self.is_full() {
                return Err(value);
            }
            let write = self.0.write.load(Ordering::Relaxed);
            // SAFETY: not full, so the consumer is done with this cell.
            self.0
                .cell(write)
                .with_mut(|cell| unsafe { *cell = Some(value) });
            self.0.write.store(write + 1, Ordering::Release);
            Ok(())
        }

        pub(crate) fn is_full(&self) -> bool {
            let write = self.0.write.load(Ordering::Relaxed);
            write - self.0.read.load(Ordering::Acquire) == self.0.cells.len()
        }
    }

    impl<T> RingRx<T> {
        pub(crate) fn pop(&mut self) -> Option<T> {
            if self.is_empty() {
                return None;
            }
            let read = self.0.read.load(Ordering::Relaxed);
            // SAFETY: not empty, so the producer has filled this cell.
            let value = self.0.cell(read).with_mut(|cell| unsafe { (*cell).take() });
            self.0.read.store(read + 1, Ordering::Release);
            value
        }

        pub(crate) fn is_empty(&self) -> bool {
            let read = self.0.read.load(Ordering::Relaxed);
            self.0.write.load(Ordering::Acquire) == read
        }
    }
}
