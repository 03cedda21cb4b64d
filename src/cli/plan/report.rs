//! A plan that was made, in words and as JSON.

use super::show::mhz;
use crate::plan::make::{Ask, Made};
use crate::plan::planner::Outcome;
use serde_json::json;
use std::fmt::Write as _;

/// Name and version of the JSON object.
const SCHEMA: &str = "e4.plan-report/1";

/// For people.
pub fn text(made: &Made, ask: &Ask) -> String {
    let file = &made.file;
    let mut text = String::new();
    // Writing to a String cannot fail.
    for (name, value) in [
        ("board", &file.board),
        ("energy of", &file.boundary),
        ("bundle", &file.bundle),
    ] {
        let known = if value.is_empty() { "not known" } else { value };
        let _ = writeln!(text, "{name:10} {known}");
    }
    let _ = writeln!(
        text,
        "least {}, {}; every frame within {:.3} ms (mean and {} spreads), one every {:.3} ms; {} clock points",
        match ask.objective {
            crate::plan::planner::Objective::Energy => "energy",
            crate::plan::planner::Objective::Latency => "latency",
            crate::plan::planner::Objective::Edp => "energy times latency",
        },
        file.source.name(),
        ask.deadline_s * 1e3,
        ask.spreads,
        ask.interval_s * 1e3,
        made.points,
    );
    if !made.knows_idle {
        let _ = writeln!(
            text,
            "what the board draws while it waits is not known and counts as nothing (--idle-w)"
        );
    }
    for (at, (belief, part)) in file.beliefs.iter().zip(&made.parts).enumerate() {
        let shares = belief.exit_share.iter().map(|s| format!("{:.1}", s * 1e2));
        let _ = writeln!(
            text,
            "belief {at}: exits {} %: {}",
            shares.collect::<Vec<_>>().join(" "),
            outcome(&part.outcome)
        );
        if let Some((point, fixed)) = &part.fixed {
            let _ = writeln!(text, "  best single point: {} at {point}", outcome(fixed));
        }
        let _ = writeln!(
            text,
            "  {:>7} {:>9} {:>9} {:>9}  issued",
            "segment", "cpu MHz", "gpu MHz", "emc MHz"
        );
        for (segment, point) in belief.segments.iter().enumerate() {
            let mhz = mhz(point.point().khz());
            let issued = if point.ahead { "ahead" } else { "as it starts" };
            let _ = writeln!(
                text,
                "  {segment:>7} {:>9} {:>9} {:>9}  {issued}",
                mhz[0], mhz[1], mhz[2]
            );
        }
    }
    if let Some(idle) = &file.idle {
        let _ = writeln!(text, "between frames: {}", idle.point());
    }
    text
}

fn outcome(outcome: &Outcome) -> String {
    format!(
        "{:.3} mJ and {:.3} ms a frame, {:.3} ms at most",
        outcome.energy_j * 1e3,
        outcome.latency_s * 1e3,
        outcome.longest_s * 1e3
    )
}

/// For machines, one line.
pub fn json(made: &Made, ask: &Ask) -> String {
    let costs = |outcome: &Outcome| {
        json!({
            "energy_mj": outcome.energy_j * 1e3,
            "latency_ms": outcome.latency_s * 1e3,
            "longest_ms": outcome.longest_s * 1e3,
        })
    };
    let beliefs = made.parts.iter().map(|part| {
        json!({
            "expected": costs(&part.outcome),
            "single": part.fixed.as_ref().map(|(point, outcome)| json!({
                "point": point,
                "expected": costs(outcome),
            })),
        })
    });
    let object = json!({
        "schema": SCHEMA,
        "objective": ask.objective,
        "deadline_ms": ask.deadline_s * 1e3,
        "interval_ms": ask.interval_s * 1e3,
        "spreads": ask.spreads,
        "points": made.points,
        "idle_known": made.knows_idle,
        "beliefs": beliefs.collect::<Vec<_>>(),
        "plan": made.file,
    });
    format!("{object}\n")
}
