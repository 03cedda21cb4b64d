//! A clock that is pinned by a lower and an upper limit: cpufreq and devfreq.

use super::ClockDomain;
use super::caps::{Cap, Caps, Limiter};
use super::domain::{Allowed, DomainKind, Outcome, Reading, SaveError};
use super::guard::Saved;
use super::opp::{Opp, OppTable};
use super::sysfs::{Gauge, Knob, Refusal, Role, Tree};
use crate::monotonic::now_ns;
use nix::errno::Errno;

/// Names of a limit-pinned domain's files in its folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Files {
    pub min: &'static str,
    pub max: &'static str,
    pub governor: &'static str,
}

const MIN: usize = 0;
const MAX: usize = 1;

/// What was asked for last.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// By the caller.
    opp: Opp,
    /// Of the files: lower where another process allows no more.
    written: Opp,
    /// What the limits showed before, lower and upper.
    before: [Option<u64>; 2],
    /// When.
    since_ns: u64,
}

/// Kernels take new limits over in a work queue: until then, the old ones show.
const TAKE_OVER_NS: u64 = 500_000_000;

/// A domain between two limits.
#[derive(Debug)]
pub struct Limited {
    name: String,
    kind: DomainKind,
    folder: String,
    governor: &'static str,
    opps: OppTable,
    knobs: [Knob; 2],
    /// Shows the hardware's own clock.
    measured: Option<Gauge>,
    /// Shows a clock that may only be the last wish.
    wished: Option<Gauge>,
    caps: Caps,
    /// What another process allows, where that is below the table's highest.
    standing: Option<Cap>,
    asked: Option<Asked>,
}

/// What a domain is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub name: String,
    pub kind: DomainKind,
    pub folder: String,
    pub files: Files,
    pub opps: OppTable,
    pub measured: Option<Gauge>,
    pub wished: Option<Gauge>,
    pub caps: Caps,
}

impl Limited {
    pub(super) fn new(tree: &Tree, parts: Parts) -> Self {
        let path = |file: &str| format!("{}/{file}", parts.folder);
        let (min, max) = (path(parts.files.min), path(parts.files.max));
        let mut domain = Self {
            knobs: [
                Knob::open(tree, Role::Min, &min, &min),
                Knob::open(tree, Role::Max, &max, &max),
            ],
            name: parts.name,
            kind: parts.kind,
            folder: parts.folder,
            governor: parts.files.governor,
            opps: parts.opps,
            measured: parts.measured,
            wished: parts.wished,
            caps: parts.caps,
            standing: None,
            asked: None,
        };
        domain.standing = domain.standing_at_start(tree);
        domain
    }

    /// An upper limit that is low, and not only for now.
    fn standing_at_start(&self, tree: &Tree) -> Option<Cap> {
        let raw = self.knobs[MAX].read().ok()?;
        if raw == 0 || !self.is_low(raw) || self.caps.passing().is_some() {
            return None;
        }
        let by = if tree.has("etc/nvpmodel.conf") || tree.has("var/lib/nvpmodel/status") {
            Limiter::Nvpmodel
        } else {
            Limiter::Other
        };
        Some(Cap { raw, by })
    }

    fn is_low(&self, max: u64) -> bool {
        let highest = self.opps.highest().raw();
        max < highest && !self.opps.unit().same(max, highest)
    }

    /// Learns from an upper limit that is not ours what another process allows.
    fn notice(&mut self, max: u64, asked: Asked) {
        let written = asked.written.raw();
        if self.opps.unit().same(max, written) || self.is_to_come(asked, MAX, max) {
            return;
        }
        if max < written && self.caps.passing().is_some() {
            return;
        }
        self.standing = self.is_low(max).then_some(Cap {
            raw: max,
            by: Limiter::Other,
        });
    }

    /// Whether a limit that is not ours is the one from before our write.
    fn is_to_come(&self, asked: Asked, knob: usize, shows: u64) -> bool {
        asked.before[knob] == Some(shows) && now_ns().saturating_sub(asked.since_ns) < TAKE_OVER_NS
    }

    fn write(&mut self, opp: Opp, max: Option<u64>) -> Result<(), (Role, Refusal)> {
        let order = match max {
            // The lower limit may not pass the upper one.
            Some(max) if opp.raw() > max => [MAX, MIN],
            _ => [MIN, MAX],
        };
        for knob in order {
            let knob = &mut self.knobs[knob];
            knob.write(opp.raw()).map_err(|why| (knob.role(), why))?;
        }
        Ok(())
    }

    fn compare(&self, asked: Asked, min: u64, max: u64) -> Outcome {
        let unit = self.opps.unit();
        let written = asked.written.raw();
        let holds = [min, max].map(|limit| unit.same(limit, written));
        if holds != [true, true] {
            return self.not_ours(asked, min, max, holds);
        }
        if asked.written != asked.opp {
            let to = asked.written.khz();
            let by = self.standing.map_or(Limiter::Other, |cap| cap.by);
            return Outcome::Clamped { to, by };
        }
        let Some(clock) = self.measured.as_ref().and_then(|gauge| gauge.read().ok()) else {
            return Outcome::Unverified;
        };
        match self.opps.nearest(clock) {
            opp if opp == asked.opp => Outcome::InEffect,
            opp => Outcome::Pending { reads: opp.khz() },
        }
    }

    /// A limit shows another value than ours.
    fn not_ours(&self, asked: Asked, min: u64, max: u64, holds: [bool; 2]) -> Outcome {
        let lowered = max < asked.written.raw() && !holds[MAX];
        if let (true, Some(by)) = (lowered, self.caps.passing()) {
            let to = self.opps.at_most(max).khz();
            return Outcome::Clamped { to, by };
        }
        let clock = self.now().map_or(asked.written.khz(), |now| now.khz);
        let to_come = (holds[MIN] || self.is_to_come(asked, MIN, min))
            && (holds[MAX] || self.is_to_come(asked, MAX, max));
        if to_come {
            return Outcome::Pending { reads: clock };
        }
        let to = if lowered {
            self.opps.at_most(max).khz()
        } else {
            clock
        };
        let by = Limiter::Other;
        Outcome::Clamped { to, by }
    }
}

impl ClockDomain for Limited {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> DomainKind {
        self.kind
    }

    fn opps(&self) -> &OppTable {
        &self.opps
    }

    fn now(&self) -> Result<Reading, Errno> {
        let (gauge, measured) = match (&self.measured, &self.wished) {
            (Some(gauge), _) => (gauge, true),
            (None, Some(gauge)) => (gauge, false),
            (None, None) => return Err(Errno::ENOENT),
        };
        let khz = self.opps.nearest(gauge.read()?).khz();
        Ok(Reading { khz, measured })
    }

    fn allowed(&mut self) -> Allowed {
        if let (Some(asked), Ok(max)) = (self.asked, self.knobs[MAX].read()) {
            self.notice(max, asked);
        }
        let caps = [self.standing, self.caps.now(&self.opps)];
        match caps.into_iter().flatten().min_by_key(|cap| cap.raw) {
            Some(cap) if self.is_low(cap.raw) => Allowed {
                highest: self.opps.at_most(cap.raw).khz(),
                by: Some(cap.by),
            },
            _ => Allowed {
                highest: self.opps.highest().khz(),
                by: None,
            },
        }
    }

    fn set(&mut self, opp: Opp) -> Outcome {
        if !self.opps.contains(opp) {
            let why = Refusal::OffTable;
            return Outcome::Refused { knob: None, why };
        }
        let written = match self.standing {
            Some(cap) if cap.raw < opp.raw() => self.opps.at_most(cap.raw),
            _ => opp,
        };
        let before = [MIN, MAX].map(|knob| self.knobs[knob].read().ok());
        self.asked = Some(Asked {
            opp,
            written,
            before,
            since_ns: now_ns(),
        });
        match self.write(written, before[MAX]) {
            Ok(()) => self.check(),
            Err((role, why)) => Outcome::Refused {
                knob: Some(role),
                why,
            },
        }
    }

    fn check(&mut self) -> Outcome {
        let Some(asked) = self.asked else {
            return Outcome::Unverified;
        };
        let refused = |role, errno| Outcome::Refused {
            knob: Some(role),
            why: Refusal::System(errno),
        };
        match (self.knobs[MIN].read(), self.knobs[MAX].read()) {
            (Ok(min), Ok(max)) => {
                self.notice(max, asked);
                self.compare(asked, min, max)
            }
            (Err(errno), _) => refused(Role::Min, errno),
            (_, Err(errno)) => refused(Role::Max, errno),
        }
    }

    fn folder(&self) -> &str {
        &self.folder
    }

    fn governor(&self) -> Option<String> {
        Some(format!("{}/{}", self.folder, self.governor))
    }

    fn knobs(&mut self) -> &mut [Knob] {
        &mut self.knobs
    }

    fn save(&self) -> Result<Vec<Saved>, SaveError> {
        let hardware = self.opps.highest().raw();
        let mut saved = Vec::with_capacity(2);
        for knob in &self.knobs {
            let value = knob.read().map_err(|errno| SaveError {
                file: knob.shown().to_owned(),
                errno,
            })?;
            let low_for_now =
                knob.role() == Role::Max && self.is_low(value) && self.caps.passing().is_some();
            let back = if low_for_now { hardware } else { value };
            saved.push(Saved::new(knob, value, back));
        }
        Ok(saved)
    }
}
