//! Handing values from thread to thread: rings, the mailbox, and waiting for
//! either without losing a wake-up.
//!
//! Guarantees, non-guarantees and cost: each module's own. All of it is below
//! the pipeline and knows nothing of stages or frames. Under `--cfg loom` these
//! protocols alone are compiled and model-checked (`tests/loom`).

pub mod claim;
pub mod follow;
mod futex;
pub mod hop;
pub mod mailbox;
#[cfg(all(test, loom))]
mod models;
pub mod predict;
pub(crate) mod ring;
pub mod strategy;
pub mod wait;
mod wake;

pub use claim::Claimable;
pub use follow::{Followed, Follower, PlanPort, follow};
pub use hop::{HopRx, HopTx, Received, SendError, hop};
pub use mailbox::{MailboxRx, MailboxTx, mailbox};
pub use predict::ArrivalPredictor;
pub use strategy::{UnknownStrategy, WaitStrategy};
pub use wait::{GUARD_NS, Notifier, Until, Waiter};
