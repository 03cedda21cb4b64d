//! When to try again, and what has been said already.
//!
//! Guarantees: the first try follows at once, later ones after a time that
//! doubles up to [`LONGEST_NS`], so that a device that is back streams well
//! within two seconds; each state is reported once an absence.

/// Time from the first failed try to the second.
const SHORTEST_NS: u64 = 20_000_000;
/// Longest time between tries.
pub const LONGEST_NS: u64 = 200_000_000;

/// Times of the next try.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    due_ns: u64,
    pause_ns: u64,
    failures: u32,
}

impl Backoff {
    /// The first try is due now.
    #[must_use]
    pub fn new(now_ns: u64) -> Self {
        Self {
            due_ns: now_ns,
            pause_ns: SHORTEST_NS,
            failures: 0,
        }
    }

    /// When the next try is due.
    #[must_use]
    pub fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Tries that failed.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A try has failed.
    pub fn failed(&mut self, now_ns: u64) {
        self.failures = self.failures.saturating_add(1);
        self.due_ns = now_ns.saturating_add(self.pause_ns);
        self.pause_ns = (self.pause_ns * 2).min(LONGEST_NS);
    }
}

/// A device that is lost.
#[derive(Debug)]
pub struct Absence {
    /// Since when.
    pub since_ns: u64,
    /// When to try again.
    pub backoff: Backoff,
    said: Vec<String>,
}

impl Absence {
    /// Lost now.
    #[must_use]
    pub fn new(now_ns: u64) -> Self {
        Self {
            since_ns: now_ns,
            backoff: Backoff::new(now_ns),
            said: Vec::new(),
        }
    }

    /// Whether `reason` has not been said yet; it counts as said from now on.
    pub fn is_news(&mut self, reason: &str) -> bool {
        let news = self.said.iter().all(|said| said != reason);
        if news {
            self.said.push(reason.to_owned());
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_follow_at_once_and_then_ever_later_but_within_bounds() {
        let mut backoff = Backoff::new(5);
        assert_eq!(backoff.due_ns(), 5);
        let mut now = 5;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            backoff.failed(now);
            pauses.push((backoff.due_ns() - now) / 1_000_000);
            now = backoff.due_ns();
        }
        assert_eq!(pauses, [20, 40, 80, 160, 200, 200, 200]);
    }

    #[test]
    fn a_state_is_said_once() {
        let mut absence = Absence::new(0);
        let said = ["gone", "gone", "busy", "gone"].map(|reason| absence.is_news(reason));
        assert_eq!(said, [true, false, true, false]);
    }
}
