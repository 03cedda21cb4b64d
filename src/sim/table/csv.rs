//! The table as CSV: one line a board, bundle, rate and method.

use super::Table;
use crate::plan::planner::Objective;
use std::fmt::Write as _;

const HEADER: &str = "source,basis,board,boundary,bundle,rate,fps,deadline_ms,method,objective,\
    frames,latency_mean_ms,latency_p50_ms,latency_p99_ms,energy_mj,work_mj,watts,deadline_misses,\
    clip_accuracy,frame_accuracy,mean_exit,probes,search_s,search_j";

impl Table {
    /// The whole table; text that holds commas is quoted.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for entry in &self.entries {
            let (f, board) = (&entry.figures, entry.board);
            let share = |share: Option<f64>| share.map_or_else(String::new, |s| format!("{s:.5}"));
            let objective = match entry.objective {
                Objective::Energy => "energy",
                Objective::Latency => "latency",
                Objective::Edp => "edp",
            };
            let interval_ms = super::float(entry.pace.interval_ns) / 1e6;
            let deadline_ms = super::float(entry.pace.deadline_ns) / 1e6;
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "simulated,\"{}\",{},\"{}\",{},{},{:.3},{deadline_ms:.4},{},{objective},",
                board.calibration,
                board.name,
                board.simulated_boundary(),
                entry.bundle,
                entry.rate.word(),
                1e3 / interval_ms,
                entry.method.name(),
            );
            let _ = writeln!(
                text,
                "{},{:.4},{:.4},{:.4},{:.4},{:.4},{:.4},{},{},{},{:.4},{},{:.1},{:.1}",
                f.frames,
                f.latency_mean_ms,
                f.latency_p50_ms,
                f.latency_p99_ms,
                f.energy_mj,
                f.work_mj,
                f.watts,
                f.deadline_misses,
                share(f.clip_accuracy),
                share(f.frame_accuracy),
                f.mean_exit,
                f.search.probes,
                f.search.seconds,
                f.search.joules,
            );
        }
        text
    }
}
