//! Power sensors: whether there is one to measure energy with.

use super::{Check, State, Subject};
use crate::config::DvfsMode;
use crate::power::{Choice, PowerRow, Root, rows};

/// Whether energy can be measured.
pub(super) fn power(subject: &Subject<'_>) -> Check {
    let row = |state, found: String| {
        const WHY: &str =
            "without a sensor a run has no energy figure, and clocks cannot be profiled";
        Check::new("power", WHY, state, found)
    };
    let choice = subject.config.power.sensor;
    let wanted = |row: &PowerRow| match choice {
        Choice::Kind(kind) => row.kind == kind.name(),
        Choice::Auto | Choice::Any | Choice::None => true,
    };
    let root = Root::new(subject.host.path("/"));
    let all: Vec<PowerRow> = rows(&root).into_iter().filter(wanted).collect();
    if let Some(sensor) = all.iter().find(|row| row.readable) {
        let PowerRow {
            sensor,
            boundary,
            window_ms,
            ..
        } = sensor;
        let found = format!("{sensor}: {boundary}, readings over {window_ms:.1} ms");
        return row(State::Ok, found);
    }
    let asked = matches!(choice, Choice::Any | Choice::Kind(_))
        || subject.config.dvfs.mode == DvfsMode::Auto;
    let (lack, shut) = match asked {
        true => (State::Fail, State::Fail),
        false => (State::NotApplicable, State::Warn),
    };
    let Some(unreadable) = all.first() else {
        return row(
            lack,
            "no power sensor of the kind that is asked for".to_owned(),
        );
    };
    let found = match &unreadable.problem {
        Some(problem) => format!("{}: {problem}", unreadable.sensor),
        None => format!("{}: {}", unreadable.sensor, unreadable.boundary),
    };
    let check = row(shut, found);
    match unreadable.fix.clone() {
        Some(fix) => check.fix(fix),
        None => check,
    }
}
