//! What is told of clocks: those of a frame, and what became of a run's changes.

use crate::plan::ClockPoint;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// Names of the axes in files: CPU, GPU, memory.
const AXES: [&str; 3] = ["cpu_khz", "gpu_khz", "emc_khz"];

/// Clocks as a frame left; 0 where a clock is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameClocks {
    /// Bit `n` is set where the board has axis `n`.
    pub present: u32,
    /// What was asked for last, kHz.
    pub asked_khz: [u32; 3],
    /// What the hardware shows, kHz.
    pub in_effect_khz: [u32; 3],
}

impl FrameClocks {
    /// Appends it as a JSON object; a clock that is not known is null.
    ///
    /// # Errors
    /// None for a buffer in memory.
    pub fn write(&self, line: &mut Vec<u8>) -> io::Result<()> {
        line.extend_from_slice(b"{\"asked\":");
        self.object(line, self.asked_khz)?;
        line.extend_from_slice(b",\"in_effect\":");
        self.object(line, self.in_effect_khz)?;
        line.push(b'}');
        Ok(())
    }

    fn object(&self, line: &mut Vec<u8>, khz: [u32; 3]) -> io::Result<()> {
        let mut gap = b'{';
        for (axis, name) in AXES.iter().enumerate() {
            if self.present & (1 << axis) == 0 {
                continue;
            }
            line.push(gap);
            gap = b',';
            match khz[axis] {
                0 => write!(line, "\"{name}\":null")?,
                khz => write!(line, "\"{name}\":{khz}")?,
            }
        }
        if gap == b'{' {
            line.push(gap);
        }
        line.push(b'}');
        Ok(())
    }
}

/// What became of the changes of clocks that the segments of a run asked for: each
/// is one of staged, late, at its start, or folded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DvfsSummary {
    /// `observe` or `plan`.
    pub mode: String,
    /// In effect as their segment started.
    pub staged: u64,
    /// Issued, but in effect only after that.
    pub late: u64,
    /// How late, on average.
    pub late_mean_us: Option<f64>,
    /// How late at most.
    pub late_max_us: Option<f64>,
    /// Issued as the segment started, as the plan says.
    pub at_start: u64,
    /// Never issued: they would not have been in effect in time.
    pub folded: u64,
    /// Made ahead of a segment that the frame did not get to.
    pub in_vain: u64,
    /// Trips to the idle point between frames, one a clock.
    pub idle: u64,
    /// Times that a clock was found held below what was asked for.
    pub clamped: u64,
    /// Times that a clock was not taken.
    pub refused: u64,
    /// Events of frames that the thread had no room for.
    pub lost_events: u64,
    /// Plans that took another's place.
    pub plans_taken: u64,
    /// What finding a plan took, where that was done in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<AutoSummary>,
}

/// What finding a plan in a run took, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AutoSummary {
    /// `exploring`, `following`, or `no plan`: how the run ended.
    pub state: String,
    /// Probes that an opening may spend.
    pub budget: u64,
    /// Probes, in all openings.
    pub probes: u64,
    /// Time that they took, s.
    pub explored_s: f64,
    /// Energy that was used meanwhile, frames included, J.
    pub explored_j: f64,
    /// Plans that were made.
    pub plans: u64,
    /// Plans that were made anew from what was known: a cap, other exits.
    pub replanned: u64,
    /// Times that what was known was given up and measured again.
    pub reopened: u64,
    /// The single point of least energy, as the last opening found it.
    pub choice: Option<ClockPoint>,
    /// What the energy could be told apart by: `segments`, `work-and-rest`, or
    /// `whole-frames`.
    pub told: Option<String>,
    /// Frames that were not looked at for want of room.
    pub lost_frames: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(clocks: FrameClocks) -> String {
        let mut line = Vec::new();
        clocks.write(&mut line).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn axes_that_are_absent_are_left_out_and_unknown_clocks_are_null() {
        let clocks = FrameClocks {
            present: 0b101,
            asked_khz: [729_600, 5, 204_000],
            in_effect_khz: [729_600, 5, 0],
        };
        assert_eq!(
            text(clocks),
            "{\"asked\":{\"cpu_khz\":729600,\"emc_khz\":204000},\
             \"in_effect\":{\"cpu_khz\":729600,\"emc_khz\":null}}"
        );
        assert_eq!(
            text(FrameClocks::default()),
            "{\"asked\":{},\"in_effect\":{}}"
        );
    }
}
