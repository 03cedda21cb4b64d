//! Why gates cannot be opened or cannot answer.

use super::PolicyError;
use crate::engine::bundle::BundleError;
use std::path::PathBuf;

/// Why gates cannot be opened or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum GatesError {
    /// The bundle has no weights.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The file is no safetensors file.
    #[error("{file}: not a safetensors file: {reason}", file = file.display())]
    Format {
        /// The weight file.
        file: PathBuf,
        /// What the parser found.
        reason: String,
    },
    /// A tensor is missing, unknown or wrong.
    #[error("{file}: tensor {tensor}: {reason}", file = file.display())]
    Tensor {
        /// The weight file.
        file: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The exit policy does not fit the bundle.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An exit was evaluated out of turn; the caller's mistake.
    #[error("exit {exit} was evaluated where {expected} was due")]
    Order {
        /// Exit asked for, from 0.
        exit: usize,
        /// What the gates were ready for.
        expected: Expected,
    },
    /// A pooled feature has the wrong length; the caller's mistake.
    #[error("exit {exit} takes a feature of {expected} elements, not {found}")]
    Feature {
        /// Exit, from 0.
        exit: usize,
        /// Elements that it takes.
        expected: usize,
        /// Elements given.
        found: usize,
    },
}

/// What [`GatesError::Order`] says was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A call of `begin_frame`.
    BeginFrame,
    /// This exit, from 0.
    Exit(usize),
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BeginFrame => f.write_str("begin_frame"),
            Self::Exit(exit) => write!(f, "exit {exit}"),
        }
    }
}
