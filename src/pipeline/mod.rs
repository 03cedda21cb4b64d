//! Stages, threads and rings.

mod futex;
pub mod hop;
pub mod mailbox;
#[cfg(all(test, loom))]
mod models;
pub mod predict;
mod ring;
pub mod stop;
pub mod strategy;
pub mod wait;
mod wake;

pub use hop::{HopRx, HopTx, Received, SendError, hop};
pub use mailbox::{MailboxRx, MailboxTx, mailbox};
pub use predict::ArrivalPredictor;
pub use stop::Stop;
pub use strategy::{UnknownStrategy, WaitStrategy};
pub use wait::{GUARD_NS, Notifier, Until, Waiter};
