//! Counts the allocations of each thread.

#![allow(dead_code, reason = "each test binary uses its own share")]

use e4::sync::{AtomicU64, Ordering::Relaxed};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Threads that can be told apart; later ones share the last place.
const THREADS: usize = 256;
static COUNTS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
static OWNERS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

thread_local! {
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The system's allocator with a count for each thread.
struct Counting;

// SAFETY: every call goes to `System` unchanged; counting touches atomics and a
// thread-local cell without a destructor only, and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is handed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // A thread that is going away has no place any more, and is nobody's.
    if let Ok(place) = PLACE.try_with(place) {
        COUNTS[place].fetch_add(1, Relaxed);
    }
}

/// The place of the calling thread, taken at its first allocation.
fn place(own: &Cell<Option<usize>>) -> usize {
    own.get().unwrap_or_else(|| {
        let id = u64::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0);
        let free = |owner: &AtomicU64| owner.compare_exchange(0, id, Relaxed, Relaxed).is_ok();
        let found = OWNERS.iter().position(free).unwrap_or(THREADS - 1);
        own.set(Some(found));
        found
    })
}

/// Allocations of the calling thread so far.
pub fn of_this_thread() -> u64 {
    COUNTS[PLACE.with(place)].load(Relaxed)
}

/// Allocations so far of the thread that the kernel knows by this number.
pub fn of_thread(id: u64) -> u64 {
    let place = OWNERS.iter().position(|owner| owner.load(Relaxed) == id);
    place.map_or(0, |place| COUNTS[place].load(Relaxed))
}
