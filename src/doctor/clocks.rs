//! Clock domains: which there are, whether they may be set, and who limits them.

use super::{Check, State, Subject};
use crate::clocks::{ClockRow, DomainKind, Place, Tree, rows};
use crate::config::{Config, DvfsMode};
use crate::engine::bundle::Bundle;
use crate::pipeline::{bundle_path, examine};
use crate::plan::file::PlanFile;

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

/// The plan that the clocks are to follow.
pub(super) fn plan(subject: &Subject<'_>) -> Check {
    const ID: &str = "plan";
    const WHY: &str = "the clocks follow a plan that was made for this bundle and board";
    let dvfs = &subject.config.dvfs;
    let row = |state, found: String| Check::new(ID, WHY, state, found);
    match (dvfs.mode, &dvfs.plan) {
        (DvfsMode::Plan, None) => {
            let found = "dvfs.mode is plan and no --plan is given".to_owned();
            return row(State::Fail, found).fix(MAKE_PLAN);
        }
        (DvfsMode::Plan | DvfsMode::Observe, _) => {}
        _ => return row(State::NotApplicable, "clocks are not planned".to_owned()),
    }
    let bundle = bundle_path(subject.config).map_err(|error| error.to_string());
    let bundle = bundle.and_then(|path| Bundle::open(path).map_err(|error| error.to_string()));
    let bundle = match bundle {
        Ok(bundle) => bundle,
        // The bundle's own row says how to mend that.
        Err(error) => return row(State::NotApplicable, error),
    };
    let mut config = subject.config.clone();
    config.clocks.sysfs_root = subject.host.path("/");
    let what = described(&config);
    match examine(&config, &bundle) {
        Ok(notices) if notices.is_empty() => row(State::Ok, what),
        Ok(notices) => row(State::Warn, notices.join("; ")).fix(SEE_CLOCKS),
        Err(error) if error.is_of_host() => row(State::Fail, error.to_string()).fix(SEE_CLOCKS),
        Err(error) => row(State::Fail, error.to_string()).fix(MAKE_PLAN),
    }
}

/// Makes a plan that fits.
const MAKE_PLAN: &str = "e4 profile --out costs.toml && e4 plan --table costs.toml --out plan.toml # then --plan plan.toml";
/// What mends a clock is in the clock's own row.
const SEE_CLOCKS: &str = "e4 run --dvfs off # or mend the clocks as their rows say";

fn described(config: &Config) -> String {
    let read = config
        .dvfs
        .plan
        .as_deref()
        .map(|path| (path, PlanFile::read(path)));
    match read {
        Some((path, Ok(plan))) => {
            format!("{}: for {} on {}", path.display(), plan.bundle, plan.board)
        }
        _ => "the clocks can be watched".to_owned(),
    }
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
        Some(_) => subject.refused(matches!(
            subject.config.dvfs.mode,
            DvfsMode::Plan | DvfsMode::Auto
        )),
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
