//! How a thread waits when it has run dry.

use std::fmt;
use std::str::FromStr;

/// How a thread waits when it has run dry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(not(loom), derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(not(loom), serde(rename_all = "lowercase"))]
pub enum WaitStrategy {
    /// Polls without pause: the least latency, a whole core.
    Spin,
    /// Sleeps until shortly before the predicted arrival, polls around it, then
    /// sleeps on a futex. On a core that stages share it does not poll.
    #[default]
    Hybrid,
    /// Sleeps on a futex: the least CPU, tens of microseconds to wake.
    Park,
}

impl WaitStrategy {
    /// Every strategy.
    pub const ALL: [Self; 3] = [Self::Spin, Self::Hybrid, Self::Park];

    /// False for a strategy that would keep a core from the other stages that
    /// are placed on it.
    #[must_use]
    pub fn allowed_on_shared_core(self) -> bool {
        self != Self::Spin
    }

    /// The name in the config and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spin => "spin",
            Self::Hybrid => "hybrid",
            Self::Park => "park",
        }
    }
}

impl fmt::Display for WaitStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A wait strategy that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no wait strategy is called \"{0}\": it is spin, hybrid or park")]
pub struct UnknownStrategy(String);

impl FromStr for WaitStrategy {
    type Err = UnknownStrategy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| UnknownStrategy(name.to_owned()))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for strategy in WaitStrategy::ALL {
            assert_eq!(strategy.name().parse(), Ok(strategy));
            let json = serde_json::to_string(&strategy).unwrap();
            assert_eq!(json, format!("\"{strategy}\""));
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "Spin".parse::<WaitStrategy>().unwrap_err().to_string();
        assert!(error.contains("\"Spin\"") && error.contains("hybrid"));
    }

    #[test]
    fn only_spin_is_refused_on_a_shared_core() {
        let allowed = WaitStrategy::ALL.map(WaitStrategy::allowed_on_shared_core);
        assert_eq!(allowed, [false, true, true]);
    }
}
