//! The figures of one simulation, for people and for programs.

use crate::plan::file::PlanFile;
use crate::sim::{Run, Simulated};
use serde_json::{Value, json};

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
        let lines = self.what().into_iter().chain(self.figures());
        let lines = lines.map(|(name, what)| format!("{name:<16}{what}\n"));
        lines.collect()
    }

    /// What was simulated.
    fn what(&self) -> Vec<(&'static str, String)> {
        let run = self.run;
        let board = format!(
            "{} ({}; {})",
            run.board.title,
            run.board.name,
            run.board.mark()
        );
        let policy = &run.trace.head.exit_policy;
        let method = format!("{} ({})", run.method.name(), run.method.title());
        vec![
            ("board", board),
            ("bundle", format!("{}, exits by {policy}", run.of.bundle)),
            ("method", method),
        ]
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let Self { run, simulated } = self;
        let f = &simulated.figures;
        let (interval_ms, deadline_ms) = (ms(run.pace.interval_ns), ms(run.pace.deadline_ns));
        let mut lines = vec![
            (
                "frames",
                format!(
                    "{} at {:.2} a second, mean exit {:.2}",
                    f.frames,
                    1e3 / interval_ms,
                    f.mean_exit
                ),
            ),
            (
                "latency ms",
                format!(
                    "mean {:.3}, p50 {:.3}, p99 {:.3}, longest {:.3}",
                    f.latency_mean_ms, f.latency_p50_ms, f.latency_p99_ms, f.latency_max_ms
                ),
            ),
            (
                "energy mJ",
                format!(
                    "{:.2} a frame, idle included ({:.2} while segments run); {:.3} W; {}",
                    f.energy_mj,
                    f.work_mj,
                    f.watts,
                    run.board.simulated_boundary()
                ),
            ),
            (
                "deadline",
                format!("{deadline_ms:.2} ms, {} frames late", f.deadline_misses),
            ),
            ("accuracy", accuracy(f.clip_accuracy, f.frame_accuracy)),
        ];
        lines.extend(self.clocks());
        lines.push(("these figures", format!("are {}", run.board.mark())));
        lines
    }

    /// How the clocks were found and set.
    fn clocks(&self) -> Vec<(&'static str, String)> {
        let (search, dvfs) = (&self.simulated.figures.search, &self.simulated.figures.dvfs);
        let search = (search.probes > 0).then(|| {
            format!(
                "{} probes, {:.1} s, {:.1} J",
                search.probes, search.seconds, search.joules
            )
        });
        let changes = dvfs.as_ref().map(|c| {
            format!(
                "{} staged, {} late, {} at start, {} folded, {} in vain, {} idle, {} clamped \
                 (with the warm-up)",
                c.staged, c.late, c.at_start, c.folded, c.in_vain, c.idle, c.clamped
            )
        });
        let plan = self.simulated.plan.as_ref();
        let plan = plan.map(|(_, plan)| clocks(plan));
        let lines = [("search", search), ("changes", changes), ("plan", plan)];
        let lines = lines.into_iter();
        lines
            .filter_map(|(name, what)| Some((name, what?)))
            .collect()
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
