//! `[clocks]`, `[dvfs]` and `[power]`: the board's clocks, what is done with them,
//! and what measures energy.

use super::{BoardName, DvfsMode, Rails};
use crate::power;
use std::path::PathBuf;

/// `[clocks]`
#[derive(Clone, Debug, PartialEq)]
pub struct ClocksConfig {
    /// Where guard files are.
    pub runtime_dir: PathBuf,
    /// Root of the tree with the clocks.
    pub sysfs_root: PathBuf,
}

impl Default for ClocksConfig {
    fn default() -> Self {
        Self {
            runtime_dir: "/run/e4".into(),
            sysfs_root: "/".into(),
        }
    }
}

/// `[power]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PowerConfig {
    /// What measures energy.
    pub sensor: power::Choice,
    /// The board; unset: as the device tree says.
    pub board: Option<BoardName>,
    /// The rails that add up; unset: the board's.
    pub rails: Option<Rails>,
    /// Hold lines back for their frames' energy; unset: except for live sources.
    pub per_frame: Option<bool>,
}

/// `[dvfs]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DvfsConfig {
    /// What is done with the clocks.
    pub mode: DvfsMode,
    /// The plan.
    pub plan: Option<PathBuf>,
    /// How long clocks take to change, as measured.
    pub transitions: Option<PathBuf>,
}
