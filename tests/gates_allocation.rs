//! Once open, the gates allocate nothing, whatever the policy and the frames.

#[path = "support/allocations.rs"]
mod allocations;

use e4::engine::bundle::Bundle;
use e4::gates::{ExitPolicy, Gates};
use std::path::Path;

#[test]
fn no_frame_allocates() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines/tiny-e2");
    let bundle = Bundle::open(&dir).unwrap();
    let golden = bundle.golden().unwrap();
    for policy in ["gates", "always:2", "softmax:0.5"] {
        let policy: ExitPolicy = policy.parse().unwrap();
        let mut gates = Gates::open(&bundle, policy).unwrap();
        let poison = vec![f32::NAN; golden.pooled(0, 0, 0).unwrap().len()];
        let before = allocations::of_this_thread();
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
        assert_eq!(allocations::of_this_thread() - before, 0, "{policy}");
    }
}
