//! Once open, the gates allocate nothing, whatever the policy and the frames.

use e4::engine::bundle::Bundle;
use e4::gates::{ExitPolicy, Gates};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that is being torn down has no counter left, and is not ours.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_frame_allocates() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2");
    if !dir.exists() {
        eprintln!("skipped: no {}", dir.display());
        return;
    }
    let bundle = Bundle::open(&dir).unwrap();
    let golden = bundle.golden().unwrap();
    for policy in ["gates", "always:2", "softmax:0.5"] {
        let policy: ExitPolicy = policy.parse().unwrap();
        let mut gates = Gates::open(&bundle, policy).unwrap();
        let poison = vec![f32::NAN; golden.pooled(0, 0, 0).unwrap().len()];
        let before = ALLOCATIONS.get();
        for round in 0..50 {
            gates.reset();
            for t in 0..golden.pooled_frames() {
                gates.begin_frame();
                for exit in 0..gates.exits() {
                    let pooled = golden.pooled(exit, 0, t).unwrap();
                    let spoiled = exit == 0 && round % 7 == 0;
                    let pooled = if spoiled { &poison } else { pooled };
                    if gates.evaluate(exit, pooled).unwrap().leave {
                        break;
                    }
                }
                gates.commit();
            }
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{policy}");
    }
}
