//! Clock domains: which there are, whether they may be set, and who limits them.

use super::{Check, State, Subject};
use crate::clocks::{ClockRow, DomainKind, Place, Tree, rows};

const WHY: &str = "a plan of clocks saves energy only in domains that are there and may be set";

/// The cores' clocks.
pub(super) fn cpu(subject: &Subject<'_>) -> Check {
    domain(subject, "cpu-clock", DomainKind::Cpu)
}

/// The GPU's clock.
pub(super) fn gpu(subject: &Subject<'_>) -> Check {
    domain(subject, "gpu-clock", DomainKind::Gpu)
}

/// The memory's clock.
pub(super) fn emc(subject: &Subject<'_>) -> Check {
    domain(subject, "emc-clock", DomainKind::Emc)
}

/// All domains of a kind in one row; the first trouble decides.
fn domain(subject: &Subject<'_>, id: &'static str, kind: DomainKind) -> Check {
    let place = Place {
        runtime_dir: subject.config.clocks.runtime_dir.clone(),
        tree: Tree::new(subject.host.path("/")),
    };
    let all: Vec<ClockRow> = rows(&place)
        .into_iter()
        .filter(|r| r.kind == kind)
        .collect();
    let found: Vec<String> = all.iter().map(describe).collect();
    let found = found.join("; ");
    if all.iter().all(|row| !row.present) {
        return Check::new(id, WHY, State::NotApplicable, found);
    }
    let trouble = all.iter().find(|row| row.problem.is_some());
    let state = match trouble {
        Some(_) => State::Warn,
        None => State::Ok,
    };
    let check = Check::new(id, WHY, state, found);
    match trouble.and_then(|row| row.fix.clone()) {
        Some(fix) => check.fix(fix),
        None => check,
    }
}

fn describe(row: &ClockRow) -> String {
    let mut words = row.domain.clone();
    if let Some((slowest, fastest)) = row.range_khz {
        let points = row.points;
        words += &format!(": {points} points from {slowest} to {fastest} kHz");
    }
    if let Some(governor) = &row.governor {
        words += &format!(", governor {governor}");
    }
    if row.present && !row.measured {
        words += ", read back only as last asked for";
    }
    if let Some(problem) = &row.problem {
        words += &format!(" ({problem})");
    }
    words
}
