//! Clocks that are set once: all at their highest (`jetson_clocks` after
//! `nvpmodel -m` of the fastest mode), or at the limits of the middle mode of the
//! board's `nvpmodel` table, each clock held at the mode's highest.

use crate::board::{Description, SimBoard};
use crate::plan::{Axis, ClockPoint};
use crate::sim::survey::go_to;

/// All clocks at their highest.
pub fn highest(board: &mut SimBoard) {
    let point = board.description().highest();
    go_to(board, point);
}

/// Name and clocks of the middle one of the board's power modes, the slower of two.
#[must_use]
pub fn middle(board: &Description) -> Option<(&str, ClockPoint)> {
    let mode = board.modes.get(board.modes.len() / 2)?;
    // A limit that is no clock of the table is the next below.
    let held = |axis: Axis| {
        let levels = board.levels(axis);
        let above = levels.partition_point(|&khz| khz <= mode.khz[axis.index()]);
        levels.get(above.saturating_sub(1)).copied().unwrap_or(0)
    };
    Some((&mode.name, ClockPoint::new(Axis::ALL.map(held))))
}
