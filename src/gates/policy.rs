//! When a frame leaves: the policy a user may choose over the bundle's gates.

use std::fmt;
use std::str::FromStr;

/// How an exit is chosen. As text: `gates`, `always:K`, `softmax:P` or
/// `softmax`, where K counts exits from 1 and 0 < P <= 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ExitPolicy {
    /// The trained gates against the bundle's thresholds.
    #[default]
    Gates,
    /// Every frame leaves at this exit, counted from 1.
    Always(usize),
    /// A frame leaves when its highest softmax reaches this value at any exit;
    /// `None` takes the bundle's own `softmax_threshold` of each exit.
    Softmax(Option<f32>),
}

impl fmt::Display for ExitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gates => f.write_str("gates"),
            Self::Always(exit) => write!(f, "always:{exit}"),
            Self::Softmax(Some(p)) => write!(f, "softmax:{p}"),
            Self::Softmax(None) => f.write_str("softmax"),
        }
    }
}

impl FromStr for ExitPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let unknown = || PolicyError::Unknown(text.to_owned());
        match text.split_once(':') {
            None if text == "gates" => Ok(Self::Gates),
            None if text == "softmax" => Ok(Self::Softmax(None)),
            Some(("always", exit)) => match exit.parse() {
                Ok(exit) if exit >= 1 => Ok(Self::Always(exit)),
                _ => Err(PolicyError::Exit(exit.to_owned())),
            },
            Some(("softmax", p)) => match p.parse::<f32>() {
                Ok(value) if in_range(value) => Ok(Self::Softmax(Some(value))),
                _ => Err(PolicyError::Probability(p.to_owned())),
            },
            _ => Err(unknown()),
        }
    }
}

impl ExitPolicy {
    /// Checks the policy against a bundle of `exits` exits.
    ///
    /// # Errors
    /// When it names an exit that the bundle lacks, or a softmax out of range.
    pub fn check(self, exits: usize) -> Result<(), PolicyError> {
        match self {
            Self::Always(exit) if exit == 0 || exit > exits => {
                Err(PolicyError::TooDeep { exit, exits })
            }
            Self::Softmax(Some(p)) if !in_range(p) => Err(PolicyError::Probability(p.to_string())),
            _ => Ok(()),
        }
    }
}

fn in_range(p: f32) -> bool {
    p > 0.0 && p <= 1.0
}

/// Why an exit policy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not one of the policies.
    #[error("--exit-policy {0}: expected gates, always:K or softmax:P")]
    Unknown(String),
    /// K is not a whole number from 1.
    #[error("--exit-policy always:{0}: exits are whole numbers from 1")]
    Exit(String),
    /// P is not a probability.
    #[error("--exit-policy softmax:{0}: expected a number above 0 and up to 1")]
    Probability(String),
    /// The bundle has fewer exits.
    #[error("--exit-policy always:{exit}: the bundle has exits 1 to {exits}")]
    TooDeep {
        /// Exit asked for, counted from 1.
        exit: usize,
        /// Exits of the bundle.
        exits: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_reads_back_what_it_prints() {
        for text in ["gates", "always:1", "always:5", "softmax:0.9", "softmax"] {
            let policy: ExitPolicy = text.parse().unwrap();
            assert_eq!(policy.to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_flag_named() {
        for text in [
            "",
            "gate",
            "always",
            "always:",
            "always:0",
            "always:-1",
            "always:1.5",
            "softmax:",
            "softmax:0",
            "softmax:1.1",
            "softmax:nan",
            "softmax:inf",
            "Gates",
            "gates:1",
        ] {
            let error = text.parse::<ExitPolicy>().unwrap_err();
            assert!(error.to_string().starts_with("--exit-policy "), "{error}");
        }
    }

    #[test]
    fn an_exit_beyond_the_bundle_is_refused() {
        let error = ExitPolicy::Always(6).check(5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--exit-policy always:6: the bundle has exits 1 to 5"
        );
        ExitPolicy::Always(5).check(5).unwrap();
        assert!(ExitPolicy::Softmax(Some(f32::NAN)).check(5).is_err());
    }
}
