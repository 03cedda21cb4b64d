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
    /// What the limits showed before, lower and upper, and what was written then.
    before: [Option<u64>; 2],
    last: Option<u64>,
    /// Whether they have shown what was written.
    taken: [bool; 2],
    /// A file did not take it: what the limits show then tells nothing of others.
    refused: bool,
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
    /// Below which another process does not let the clock go.
    floor: Option<u64>,
    asked: Option<Asked>,
    /// When the kernel or firmware was last seen to hold the limits down.
    passing_ns: Option<u64>,
    /// When a cap was last taken for another process's.
    noticed_ns: Option<u64>,
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
            floor: None,
            asked: None,
            passing_ns: None,
            noticed_ns: None,
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

    /// Learns from limits that are not ours what another process allows.
    fn notice(&mut self, min: Option<u64>, max: Option<u64>) {
        let Some(mut asked) = self.asked.filter(|asked| !asked.refused) else {
            return;
        };
        let unit = self.opps.unit();
        let written = asked.written.raw();
        let ours = [min, max].map(|limit| limit.is_some_and(|limit| unit.same(limit, written)));
        for knob in [MIN, MAX] {
            asked.taken[knob] |= ours[knob];
        }
        self.asked = Some(asked);
        if let Some(max) = max.filter(|_| !ours[MAX]) {
            self.notice_cap(max, asked);
        }
        // A lower limit above the upper one shows as that: only beside our own upper
        // limit it says what was chosen.
        // Read again, for the two may have been read across a change of the kernel's.
        if let Some(min) = min.filter(|_| ours[MAX] && !ours[MIN])
            && self.knobs[MIN].read() == Ok(min)
        {
            self.notice_floor(min, asked);
        }
    }

    fn notice_cap(&mut self, max: u64, asked: Asked) {
        if self.is_to_come(asked, MAX, max) {
            return;
        }
        let now = now_ns();
        let lately = |since: Option<u64>| since.is_some_and(|ns| now - ns < TAKE_OVER_NS);
        if max < asked.written.raw() {
            if self.caps.passing().is_some() {
                self.passing_ns = Some(now);
                // The limit sinks before its cause shows.
                if lately(self.noticed_ns.take()) {
                    self.standing = None;
                    self.knobs[MAX].keep(0);
                }
                return;
            }
            // ... and rises after it is gone.
            if lately(self.passing_ns) {
                return;
            }
        }
        if self.standing.is_none_or(|cap| cap.raw != max) {
            self.noticed_ns = Some(now);
        }
        self.standing = self.is_low(max).then_some(Cap {
            raw: max,
            by: Limiter::Other,
        });
        self.knobs[MAX].keep(max);
    }

    fn notice_floor(&mut self, min: u64, asked: Asked) {
        if self.is_to_come(asked, MIN, min) {
            return;
        }
        let lowest = self.opps.lowest().raw();
        self.floor = (min > lowest).then_some(min);
        self.knobs[MIN].keep(min);
    }

    /// Whether a limit that is not ours is one from before our write.
    fn is_to_come(&self, asked: Asked, knob: usize, shows: u64) -> bool {
        let before = [asked.before[knob], asked.last];
        !asked.taken[knob]
            && before.contains(&Some(shows))
            && now_ns().saturating_sub(asked.since_ns) < TAKE_OVER_NS
    }

    /// The point that others allow instead of `opp`.
    fn within(&self, opp: Opp) -> Opp {
        let opp = match self.floor {
            Some(floor) if floor > opp.raw() => self.opps.at_least(floor),
            _ => opp,
        };
        match self.standing {
            Some(cap) if cap.raw < opp.raw() => self.opps.at_most(cap.raw),
            _ => opp,
        }
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
            let cap = self
                .standing
                .filter(|_| asked.written.raw() < asked.opp.raw());
            let by = cap.map_or(Limiter::Other, |cap| cap.by);
            return Outcome::Clamped { to, by };
        }
        let Some(clock) = self.measured.as_ref().and_then(|gauge| gauge.read().ok()) else {
            return Outcome::Unverified;
        };
        match self.opps.point(clock) {
            Some(opp) if opp == asked.opp => Outcome::InEffect,
            _ => Outcome::Pending {
                reads: self.opps.reading(clock),
            },
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
        let khz = self.opps.reading(gauge.read()?);
        Ok(Reading { khz, measured })
    }

    fn allowed(&mut self) -> Allowed {
        if self.asked.is_some() {
            let [min, max] = [MIN, MAX].map(|knob| self.knobs[knob].read().ok());
            self.notice(min, max);
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
        let before = [MIN, MAX].map(|knob| self.knobs[knob].read().ok());
        // What another process wrote once is seen before it is written over.
        self.notice(before[MIN], before[MAX]);
        let written = self.within(opp);
        self.asked = Some(Asked {
            opp,
            written,
            before,
            last: self.asked.map(|asked| asked.written.raw()),
            taken: [false; 2],
            refused: false,
            since_ns: now_ns(),
        });
        match self.write(written, before[MAX]) {
            Ok(()) => self.check(),
            Err((role, why)) => {
                if let Some(asked) = &mut self.asked {
                    asked.refused = true;
                }
                let knob = Some(role);
                Outcome::Refused { knob, why }
            }
        }
    }

    fn check(&mut self) -> Outcome {
        if self.asked.is_none() {
            return Outcome::Unverified;
        }
        let refused = |role, errno| Outcome::Refused {
            knob: Some(role),
            why: Refusal::System(errno),
        };
        match (self.knobs[MIN].read(), self.knobs[MAX].read()) {
            (Ok(min), Ok(max)) => {
                self.notice(Some(min), Some(max));
                self.asked
                    .map_or(Outcome::Unverified, |asked| self.compare(asked, min, max))
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
