//! Setting a clock, reading it back and asking what is allowed allocate nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use e4::clocks::{Guard, Place, Tree, discover};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use tree::FakeTree;

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "support/tree.rs"]
mod tree;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting
// touches a constant-initialised thread local, which itself allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|n| n.set(n.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_change_of_clocks_allocates_nothing() {
    let board = FakeTree::board();
    let nano = FakeTree::empty();
    nano.add_nano_emc();
    for fake in [&board, &nano] {
        let place = Place {
            runtime_dir: fake.runtime_dir(),
            tree: Tree::new(fake.root()),
        };
        let mut found = discover(&place.tree);
        let guard = Guard::claim(&place, &mut found.domains).unwrap();
        for domain in &mut found.domains {
            let opps: Vec<_> = domain.opps().iter().collect();
            let before = ALLOCATIONS.get();
            for &opp in opps.iter().chain(opps.iter().rev()) {
                black_box(domain.set(opp));
                black_box(domain.check());
                black_box(domain.now()).unwrap();
                black_box(domain.allowed());
            }
            assert_eq!(ALLOCATIONS.get() - before, 0, "{}", domain.name());
        }
        guard.give_back();
    }
    assert!(ALLOCATIONS.get() > 0, "the counter counts");
}
