//! Preallocated frame slots, handed from thread to thread by token.
//!
//! Guarantees: a [`Slot`] is the only way to its frame, so moving the token
//! moves the right to read and write; moving it moves an index and a pointer,
//! never the frame. All memory is allocated *and touched* by
//! [`SlotPool::new`]: writing frames no larger than `bytes_each` afterwards
//! neither allocates nor faults.
//!
//! Not guaranteed: that a slot comes back. A token that is dropped loses its
//! slot for good (its memory stays with the pool until the pool and every other
//! token are gone), so dropping one never frees memory on the way of a frame;
//! whoever is done with a frame gives the token back to its source.
//!
//! Cost: a dereference is one pointer more than a plain `&Frame`.
//!
//! ```
//! use e4::tensor::SlotPool;
//!
//! let (pool, mut free) = SlotPool::new(4, 640 * 480 * 2);
//! let mut slot = free.pop().ok_or("no slot")?;
//! slot.data.resize(640 * 480 * 2, 0);
//! assert_eq!((pool.capacity(), slot.index()), (4, 3));
//! # Ok::<(), &str>(())
//! ```

use super::Frame;
use crate::sync::{Arc, UnsafeCell};
use std::fmt;
use std::hint::black_box;
use std::ops::{Deref, DerefMut};

/// Smallest page of the machines we run on; touching one byte a page maps all.
const PAGE: usize = 4096;

/// A fixed number of frame slots. Clones are handles of the same pool.
#[derive(Clone, Debug)]
pub struct SlotPool {
    frames: Arc<Frames>,
}

/// Which pool a slot belongs to; keeps neither alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolId(usize);

/// Exclusive access to one slot of a [`SlotPool`].
pub struct Slot {
    pool: SlotPool,
    index: usize,
}

#[derive(Debug)]
struct Frames(Box<[UnsafeCell<Frame>]>);

// SAFETY: a cell is reached through the `Slot` of its index alone, and of those
// there is one: `SlotPool::new` makes one an index, and `Slot` is not `Clone`.
unsafe impl Sync for Frames {}
// SAFETY: `Frame` is `Send`; the cell adds nothing that is tied to a thread.
unsafe impl Send for Frames {}

impl SlotPool {
    /// A pool of `slots` frames with `bytes_each` bytes of capacity, touched,
    /// and its tokens in the order of their indices.
    #[must_use]
    pub fn new(slots: usize, bytes_each: usize) -> (Self, Vec<Slot>) {
        let frames = (0..slots)
            .map(|_| UnsafeCell::new(touched(bytes_each)))
            .collect();
        let pool = Self {
            frames: Arc::new(Frames(frames)),
        };
        let tokens = (0..slots)
            .map(|index| Slot {
                pool: pool.clone(),
                index,
            })
            .collect();
        (pool, tokens)
    }

    /// Tells the pool from others, as long as it or a slot of it lives.
    #[must_use]
    pub fn id(&self) -> PoolId {
        PoolId(std::ptr::from_ref(&*self.frames).addr())
    }

    /// Number of slots, lost ones included.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.frames.0.len()
    }
}

/// An empty frame whose capacity is mapped to memory.
fn touched(bytes: usize) -> Frame {
    let mut data = vec![0; bytes];
    // `vec![0; n]` may map the zero page only; the stores make it ours, and
    // `black_box` keeps the compiler from folding them into it.
    data.iter_mut()
        .step_by(PAGE)
        .for_each(|byte| *byte = black_box(0));
    if let Some(last) = data.last_mut() {
        *last = black_box(0);
    }
    black_box(&mut data).clear();
    Frame {
        data,
        ..Frame::default()
    }
}

impl Slot {
    /// Index of the slot in its pool.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Its pool.
    #[must_use]
    pub fn pool_id(&self) -> PoolId {
        self.pool.id()
    }

    /// True when the slot belongs to `pool`.
    #[must_use]
    pub fn is_of(&self, pool: &SlotPool) -> bool {
        Arc::ptr_eq(&self.pool.frames, &pool.frames)
    }
}

impl Deref for Slot {
    type Target = Frame;

    #[inline]
    fn deref(&self) -> &Frame {
        self.pool.frames.0[self.index].with(|frame| {
            // SAFETY: this is the one token of the cell (see `Frames`), and the
            // reference borrows it.
            unsafe { &*frame }
        })
    }
}

impl DerefMut for Slot {
    #[inline]
    fn deref_mut(&mut self) -> &mut Frame {
        self.pool.frames.0[self.index].with_mut(|frame| {
            // SAFETY: this is the one token of the cell (see `Frames`), and the
            // reference borrows it mutably.
            unsafe { &mut *frame }
        })
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("index", &self.index)
            .field("meta", &self.meta)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_its_own_memory() {
        let (pool, mut slots) = SlotPool::new(3, 8);
        for slot in &mut slots {
            let fill = u8::try_from(slot.index()).unwrap();
            slot.data.resize(8, fill);
        }
        for (i, slot) in slots.iter().enumerate() {
            assert_eq!(slot.index(), i);
            assert!(slot.is_of(&pool));
            assert!(slot.data.iter().all(|&b| usize::from(b) == i));
        }
    }

    #[test]
    fn a_frame_within_the_capacity_stays_where_it_is() {
        let (_, mut slots) = SlotPool::new(1, 10_000);
        let slot = &mut slots[0];
        assert!(slot.data.is_empty() && slot.data.capacity() >= 10_000);
        let before = slot.data.as_ptr();
        slot.data.resize(10_000, 7);
        assert_eq!(slot.data.as_ptr(), before);
    }

    #[test]
    fn a_slot_outlives_the_pool_and_its_siblings() {
        let (pool, mut slots) = SlotPool::new(2, 4);
        let mut kept = slots.remove(1);
        drop((pool, slots));
        kept.data.extend([1, 2, 3, 4]);
        let moved = std::thread::spawn(move || kept.data.len()).join();
        assert_eq!(moved.unwrap(), 4);
    }

    #[test]
    fn an_empty_pool_and_empty_slots_are_fine() {
        let (pool, slots) = SlotPool::new(0, 100);
        assert_eq!((pool.capacity(), slots.len()), (0, 0));
        let (_, slots) = SlotPool::new(1, 0);
        assert!(slots[0].data.is_empty());
    }
}
