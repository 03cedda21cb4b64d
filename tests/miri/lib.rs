//! The very files of the hand-offs, mounted where they expect each other.

#[path = "../../src/monotonic.rs"]
pub mod monotonic;
#[path = "../../src/sync.rs"]
pub mod sync;

/// As in the crate, the kernels alone.
#[path = "../../src/engine"]
pub mod engine {
    pub mod native {
        #[allow(dead_code, reason = "the engine is not here to call them")]
        mod kernels;
    }
}

/// As in the crate, without the loom models.
#[path = "../../src/handoff"]
pub mod handoff {
    pub mod claim;
    mod futex;
    pub mod hop;
    pub mod mailbox;
    mod ring;
    pub mod strategy;
    pub mod wait;
    mod wake;

    pub use claim::Claimable;
    pub use hop::{HopRx, HopTx, Received, hop};
    pub use mailbox::mailbox;
    pub use strategy::WaitStrategy;
    pub use wait::{Until, Waiter};
}

/// As in the crate, without the stages.
pub mod pipeline {
    pub use crate::handoff::{WaitStrategy, hop};
}

/// As in the crate, without the conversion.
#[path = "../../src/tensor"]
pub mod tensor {
    pub mod frame;
    pub mod slots;

    pub use frame::Frame;
    pub use slots::SlotPool;
}
