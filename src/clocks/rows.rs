//! What a user should know of each clock domain, and the command that mends what
//! is wrong with it: the doctor's rows. Nothing is written.

use super::guard::{Place, SUFFIX};
use super::inventory::{Absent, discover};
use super::sysfs::{Knob, Role};
use super::{Allowed, ClockDomain, DomainKind, Khz, Limiter};
use nix::errno::Errno;
use serde::Serialize;

/// One domain, or the lack of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClockRow {
    /// `cpu0`, `gpu`, `emc`, or the kind where there is none.
    pub domain: String,
    /// What it clocks.
    pub kind: DomainKind,
    /// Whether it is there.
    pub present: bool,
    /// Whether e4 may set it.
    pub writable: bool,
    /// Its slowest and fastest clock in kHz.
    pub range_khz: Option<(u32, u32)>,
    /// Number of its operating points.
    pub points: usize,
    /// Its clock now in kHz.
    pub now_khz: Option<u32>,
    /// Whether that is read from the hardware; if not, no clock is ever called in
    /// effect.
    pub measured: bool,
    /// The governor in charge.
    pub governor: Option<String>,
    /// The highest clock that others allow in kHz, where that is not the fastest.
    pub capped_khz: Option<u32>,
    /// By whom.
    pub capped_by: Option<Limiter>,
    /// What is wrong, in a sentence.
    pub problem: Option<String>,
    /// The command that mends it.
    pub fix: Option<String>,
}

/// The rows of this machine: its domains, then the kinds that it lacks.
#[must_use]
pub fn rows(place: &Place) -> Vec<ClockRow> {
    let mut found = discover(&place.tree);
    let present = found.domains.iter_mut().map(|d| row(place, d.as_mut()));
    let mut rows: Vec<ClockRow> = present.collect();
    rows.extend(found.absent.into_iter().map(absent));
    rows
}

fn row(place: &Place, domain: &mut dyn ClockDomain) -> ClockRow {
    let now = domain.now().ok();
    let allowed = domain.allowed();
    let governor = domain.governor();
    let (problem, fix) = trouble(place, domain, allowed);
    let (lowest, highest) = (domain.opps().lowest(), domain.opps().highest());
    ClockRow {
        domain: domain.name().to_owned(),
        kind: domain.kind(),
        present: true,
        writable: domain.knobs().iter().all(|knob| knob.denied().is_none()),
        range_khz: Some((lowest.khz().0, highest.khz().0)),
        points: domain.opps().len(),
        now_khz: now.map(|now| now.khz.0),
        measured: now.is_some_and(|now| now.measured),
        governor: governor
            .and_then(|file| place.tree.read(&file).ok())
            .map(|text| text.trim().to_owned()),
        capped_khz: allowed.by.map(|_| allowed.highest.0),
        capped_by: allowed.by,
        problem,
        fix,
    }
}

/// The first thing that is wrong, and what mends it.
fn trouble(
    place: &Place,
    domain: &mut dyn ClockDomain,
    allowed: Allowed,
) -> (Option<String>, Option<String>) {
    let name = domain.name().to_owned();
    let guard = place.runtime_dir.join(format!("{name}{SUFFIX}"));
    if guard.exists() {
        let problem = format!(
            "{} holds {name}: another e4, or one that was killed",
            guard.display()
        );
        return (Some(problem), Some("e4 restore".into()));
    }
    let denied: Vec<(String, Errno)> = domain
        .knobs()
        .iter()
        .filter_map(|knob| Some((knob.file().to_owned(), knob.denied()?)))
        .collect();
    if let Some((file, errno)) = denied.first() {
        let problem = format!("/{file} cannot be written to ({errno})");
        let files: Vec<String> = denied.iter().map(|(file, _)| format!("/{file}")).collect();
        return (Some(problem), Some(permit(&files.join(" "), *errno)));
    }
    capped(domain.knobs(), &name, allowed)
}

fn permit(files: &str, errno: Errno) -> String {
    match errno {
        Errno::EROFS => "sudo mount -o remount,rw /sys".into(),
        _ if files.contains("/sys/kernel/debug/") => "run e4 as root".into(),
        _ => format!("sudo chgrp \"$(id -gn)\" {files} && sudo chmod g+w {files}"),
    }
}

fn capped(knobs: &[Knob], name: &str, allowed: Allowed) -> (Option<String>, Option<String>) {
    let Some(by) = allowed.by else {
        return (None, None);
    };
    let Khz(khz) = allowed.highest;
    let problem = format!("{name} may run at no more than {khz} kHz because of {by}");
    let max = knobs.iter().find(|knob| knob.role() == Role::Max);
    let fix = match (by, max) {
        (Limiter::Nvpmodel, _) => Some("sudo nvpmodel -m 0".to_owned()),
        (Limiter::Other, Some(max)) => {
            Some(format!("echo 999999999999 | sudo tee /{}", max.file()))
        }
        _ => None,
    };
    (Some(problem), fix)
}

fn absent(absent: Absent) -> ClockRow {
    let fix = absent
        .reason
        .contains("mount -t debugfs")
        .then(|| "sudo mount -t debugfs debugfs /sys/kernel/debug".to_owned());
    ClockRow {
        domain: match absent.kind {
            DomainKind::Cpu => "cpu",
            DomainKind::Gpu => "gpu",
            DomainKind::Emc => "emc",
        }
        .to_owned(),
        kind: absent.kind,
        present: false,
        writable: false,
        range_khz: None,
        points: 0,
        now_khz: None,
        measured: false,
        governor: None,
        capped_khz: None,
        capped_by: None,
        problem: Some(absent.reason),
        fix,
    }
}
