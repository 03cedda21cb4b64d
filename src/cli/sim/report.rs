//! The figures of one simulation, for people and for programs.

use crate::plan::file::PlanFile;
use crate::sim::{Run, Simulated};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The format's name, in every JSON object.
pub(super) const SCHEMA: &str = "e4.sim/1";

/// A simulation with its figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report<'a> {
    run: &'a Run<'a>,
    simulated: &'a Simulated,
}

impl<'a> Report<'a> {
    pub fn new(run: &'a Run<'a>, simulated: &'a Simulated) -> Self {
        Self { run, simulated }
    }

    /// What the figures are of, then the figures.
    pub fn value(&self) -> Value {
        let Self { run, simulated } = self;
        json!({
            "schema": SCHEMA,
            "source": "simulated",
            "mark": run.board.mark(),
            "board": run.board.name,
            "boundary": run.board.simulated_boundary(),
            "bundle": run.of.bundle,
            "bundle_sha256": run.of.sha256,
            "exit_policy": run.trace.head.exit_policy,
            "method": run.method.name(),
            "objective": run.objective,
            "fps": 1e3 / ms(run.pace.interval_ns),
            "deadline_ms": ms(run.pace.deadline_ns),
            "seed": run.seed,
            "figures": simulated.figures,
            "plan": simulated.plan.as_ref().map(|(_, plan)| json!(plan)),
        })
    }

    pub fn json(&self) -> String {
        format!("{}\n", self.value())
    }

    pub fn words(&self) -> String {
        let Self { run, simulated } = self;
        let f = &simulated.figures;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let mut line = |name: &str, what: String| {
            let _ = writeln!(text, "{name:<16}{what}");
        };
        line(
            "board",
            format!(
                "{} ({}; {})",
                run.board.title,
                run.board.name,
                run.board.mark()
            ),
        );
        line(
            "bundle",
            format!("{}, exits by {}", run.of.bundle, run.trace.head.exit_policy),
        );
        line(
            "method",
            format!("{} ({})", run.method.name(), run.method.title()),
        );
        line(
            "frames",
            format!(
                "{} at {:.2} a second, mean exit {:.2}",
                f.frames,
                1e3 / ms(run.pace.interval_ns),
                f.mean_exit
            ),
        );
        line(
            "latency ms",
            format!(
                "mean {:.3}, p50 {:.3}, p99 {:.3}, longest {:.3}",
                f.latency_mean_ms, f.latency_p50_ms, f.latency_p99_ms, f.latency_max_ms
            ),
        );
        line(
            "energy mJ",
            format!(
                "{:.2} a frame, idle included ({:.2} while segments run); {:.3} W; {}",
                f.energy_mj,
                f.work_mj,
                f.watts,
                run.board.simulated_boundary()
            ),
        );
        line(
            "deadline",
            format!(
                "{:.2} ms, {} frames late",
                ms(run.pace.deadline_ns),
                f.deadline_misses
            ),
        );
        line("accuracy", accuracy(f.clip_accuracy, f.frame_accuracy));
        if f.search.probes > 0 {
            line(
                "search",
                format!(
                    "{} probes, {:.1} s, {:.1} J",
                    f.search.probes, f.search.seconds, f.search.joules
                ),
            );
        }
        if let Some(c) = &f.dvfs {
            line(
                "changes",
                format!(
                    "{} staged, {} late, {} at start, {} folded, {} in vain, {} idle, {} clamped",
                    c.staged, c.late, c.at_start, c.folded, c.in_vain, c.idle, c.clamped
                ),
            );
        }
        if let Some((_, plan)) = &simulated.plan {
            line("plan", clocks(plan));
        }
        line("these figures", format!("are {}", run.board.mark()));
        text
    }
}

fn accuracy(clips: Option<f64>, frames: Option<f64>) -> String {
    match clips.zip(frames) {
        Some((clips, frames)) => {
            format!(
                "{:.2} % of clips, {:.2} % of frames",
                100.0 * clips,
                100.0 * frames
            )
        }
        None => "no labels".to_owned(),
    }
}

/// The clocks of each class and segment, those that follow each other once.
fn clocks(plan: &PlanFile) -> String {
    let class = |belief: &crate::plan::file::PlannedBelief| {
        let mut points: Vec<String> = Vec::new();
        for segment in &belief.segments {
            let point = segment.point().to_string();
            if points.last() != Some(&point) {
                points.push(point);
            }
        }
        points.join(" -> ")
    };
    let classes: Vec<String> = plan.beliefs.iter().map(class).collect();
    let idle = plan.idle.map(|idle| format!("; idle at {}", idle.point()));
    format!("{}{}", classes.join(" | "), idle.unwrap_or_default())
}

fn ms(ns: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "spans far below 2^53 ns")]
    let ns = ns as f64;
    ns / 1e6
}
