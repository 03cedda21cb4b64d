//! Tells systemd that the run has started, lives and ends (`sd_notify`).
//!
//! Without `NOTIFY_SOCKET` in the environment every call does nothing. A message
//! costs a few microseconds, on the supervisor's thread.

use crate::monotonic::now_ns;
use sd_notify::NotifyState;
use std::io;

/// What systemd has been told, and when it is to hear more.
#[derive(Debug, Default)]
pub struct Service {
    /// Time between two signs of life, a third of what systemd waits; 0: none.
    interval_ns: u64,
    told_ns: u64,
    stopping: bool,
    failure: Option<io::Error>,
}

impl Service {
    /// The service that the environment describes; it is ready.
    #[must_use]
    pub fn ready() -> Self {
        let interval = sd_notify::watchdog_enabled().map_or(0, |limit| limit.as_nanos() / 3);
        let mut service = Self {
            interval_ns: u64::try_from(interval).unwrap_or(u64::MAX),
            told_ns: now_ns(),
            ..Self::default()
        };
        service.tell(&NotifyState::Ready);
        service
    }

    /// A sign of life when one is due, and once that the run is ending.
    pub fn beat(&mut self, now_ns: u64, stopping: bool) {
        if stopping && !self.stopping {
            self.stopping = true;
            self.tell(&NotifyState::Stopping);
        }
        if self.interval_ns > 0 && now_ns.saturating_sub(self.told_ns) >= self.interval_ns {
            self.told_ns = now_ns;
            self.tell(&NotifyState::Watchdog);
        }
    }

    fn tell(&mut self, state: &NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
            self.failure.get_or_insert(error);
        }
    }

    /// Ends it; a sentence where systemd could not be told.
    #[must_use]
    pub fn end(mut self) -> Option<String> {
        self.beat(0, true);
        let error = self.failure?;
        Some(format!(
            "systemd cannot be told how the run is doing ({error}): NOTIFY_SOCKET"
        ))
    }
}
