//! Plans of one point, and plans in words.

use super::Setup;
use super::attribute::Told;
use crate::plan::ClockPoint;
use crate::plan::cost::Source;
use crate::plan::file::{FORMAT, PlanFile, PlannedBelief, PlannedPoint};
use crate::plan::make::Made;
use crate::telemetry::AutoSummary;

/// All segments at one point.
pub(super) fn fixed(setup: &Setup, point: ClockPoint) -> PlanFile {
    let count = setup.macs.len();
    let even = 1.0 / count.max(1) as f64;
    let head = &setup.head;
    PlanFile {
        format: FORMAT.to_owned(),
        board: head.board.clone(),
        bundle: head.bundle.clone(),
        bundle_sha256: head.bundle_sha256.clone(),
        source: Source::Measured,
        boundary: head.boundary.clone(),
        objective: setup.objective,
        deadline_ms: setup.deadline_s.unwrap_or(1.0) * 1e3,
        idle: None,
        beliefs: vec![PlannedBelief {
            exit_share: vec![even; count],
            next: vec![1.0],
            evidence: Vec::new(),
            segments: vec![PlannedPoint::new(point, true); count],
        }],
    }
}

/// By how much at most a frame takes longer at `to` than at `from`: as if all of it
/// waited for the axis that is slowed down most.
pub(super) fn slow_down(from: ClockPoint, to: ClockPoint) -> f64 {
    let pairs = from.khz().into_iter().zip(to.khz());
    let ratios = pairs.filter(|(_, to)| *to > 0);
    let ratios = ratios.map(|(from, to)| f64::from(from) / f64::from(to));
    ratios.fold(1.0, f64::max)
}

/// What the user hears of a plan.
pub(super) fn words(spent: &AutoSummary, told: Option<Told>, made: &Made) -> String {
    let apart = match told {
        Some(Told::Segments) => "",
        Some(Told::Busy) => "; the energy of segments cannot be told apart, only work from waiting",
        Some(Told::Whole) | None => {
            "; the energy of segments cannot be told apart: it is spread over them by time"
        }
    };
    let beliefs = made.file.beliefs.iter().map(|belief| {
        let points = belief.segments.iter().map(|s| s.point().to_string());
        let mut points: Vec<String> = points.collect();
        points.dedup();
        points.join(", then ")
    });
    let mut clocks: Vec<String> = beliefs.collect();
    clocks.dedup();
    let energy = made.parts.first().map_or(0.0, |p| p.outcome.energy_j * 1e3);
    format!(
        "follows a plan of {} measured points ({}), {energy:.3} mJ a frame; exploring took {} probes, {:.1} s and {:.1} J so far{apart}",
        made.points,
        clocks.join("; or "),
        spent.probes,
        spent.explored_s,
        spent.explored_j,
    )
}
