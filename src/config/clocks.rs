//! `[clocks]`, `[dvfs]` and `[power]`: the board's clocks, what is done with them,
//! and what measures energy.

use super::{BoardName, DvfsMode, Rails};
use crate::plan::planner::Objective;
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
#[derive(Clone, Debug, PartialEq)]
pub struct DvfsConfig {
    /// What is done with the clocks.
    pub mode: DvfsMode,
    /// The plan.
    pub plan: Option<PathBuf>,
    /// How long clocks take to change, as measured.
    pub transitions: Option<PathBuf>,
    /// What a plan makes least.
    pub objective: Objective,
    /// Every frame leaves within it; unset: the time to the next frame.
    pub deadline_ms: Option<f64>,
    /// No segment may draw more.
    pub power_cap_w: Option<f64>,
    /// A latency counts as its mean and so many standard deviations.
    pub spread: f64,
    /// Points that `auto` may measure.
    pub budget: u32,
}

impl Default for DvfsConfig {
    fn default() -> Self {
        Self {
            mode: DvfsMode::default(),
            plan: None,
            transitions: None,
            objective: Objective::default(),
            deadline_ms: None,
            power_cap_w: None,
            spread: 2.0,
            budget: 32,
        }
    }
}
