//! The memory clock through debugfs: BPMP (TX2 and later) and Nano's override.
//!
//! A lock takes the clock away from the kernel's bandwidth manager; while it
//! holds, the rate is what was written last.

use super::ClockDomain;
use super::caps::{Caps, Limiter};
use super::domain::{Allowed, DomainKind, Outcome, Reading, SaveError};
use super::guard::Saved;
use super::khz::Unit;
use super::opp::{Opp, OppTable};
use super::sysfs::{Knob, Refusal, Role, Tree};
use nix::errno::Errno;

/// Names of the files in the domain's folder.
#[derive(Debug)]
pub(super) struct Layout {
    pub folder: &'static str,
    lock: &'static str,
    /// Takes the rate.
    rate: &'static str,
    /// Shows it.
    shown: &'static str,
    /// Lists the rates; the first one that does is taken.
    tables: &'static [&'static str],
    lowest: &'static str,
    highest: &'static str,
}

const BPMP: Layout = Layout {
    folder: "sys/kernel/debug/bpmp/debug/clk/emc",
    lock: "mrq_rate_locked",
    rate: "rate",
    shown: "rate",
    tables: &[
        "sys/kernel/debug/bpmp/debug/clk/emc/possible_rates",
        "sys/kernel/debug/emc/available_rates",
    ],
    lowest: "sys/kernel/debug/bpmp/debug/clk/emc/min_rate",
    highest: "sys/kernel/debug/bpmp/debug/clk/emc/max_rate",
};

const NANO: Layout = Layout {
    folder: "sys/kernel/debug/clk/override.emc",
    lock: "clk_state",
    rate: "clk_update_rate",
    shown: "clk_rate",
    tables: &[
        "sys/kernel/debug/clk/override.emc/clk_possible_rates",
        "sys/kernel/debug/emc/available_rates",
    ],
    lowest: "sys/kernel/debug/tegra_bwmgr/emc_min_rate",
    highest: "sys/kernel/debug/tegra_bwmgr/emc_max_rate",
};

impl Layout {
    /// The files of the lock, of the rate, and of what shows the rate.
    pub(super) fn files(&self) -> [String; 3] {
        [self.lock, self.rate, self.shown].map(|file| format!("{}/{file}", self.folder))
    }
}

/// The layout whose folder this is.
pub(super) fn named(folder: &str) -> Option<&'static Layout> {
    [&BPMP, &NANO]
        .into_iter()
        .find(|layout| layout.folder == folder)
}

/// The layout of this board, where it has one.
pub(super) fn layout(tree: &Tree) -> Option<&'static Layout> {
    [&BPMP, &NANO]
        .into_iter()
        .find(|layout| tree.has(&format!("{}/{}", layout.folder, layout.lock)))
}

const LOCK: usize = 0;
const RATE: usize = 1;

/// The memory clock under a lock.
#[derive(Debug)]
pub struct Emc {
    folder: &'static str,
    opps: OppTable,
    knobs: [Knob; 2],
    caps: Caps,
    asked: Option<Opp>,
}

/// Opens the memory clock; the error says what it lacks.
pub(super) fn open(tree: &Tree, layout: &'static Layout) -> Result<Emc, String> {
    let opps = table(tree, layout).ok_or_else(|| {
        let lists = layout.tables.first().unwrap_or(&layout.folder);
        format!("/{lists} lists no rates, nor do its lowest and highest rate show")
    })?;
    let [lock, rate, shown] = layout.files();
    Ok(Emc {
        folder: layout.folder,
        opps,
        knobs: [
            Knob::open(tree, Role::Lock, &lock, &lock),
            Knob::open(tree, Role::Rate, &rate, &shown),
        ],
        caps: Caps::emc(tree),
        asked: None,
    })
}

/// The kernel's list of rates, or where there is none its lowest and highest.
fn table(tree: &Tree, layout: &Layout) -> Option<OppTable> {
    let listed = layout.tables.iter().find_map(|file| {
        let text = tree.read(file).ok()?;
        OppTable::parse(&text, Unit::Hz)
    });
    listed.or_else(|| {
        let ends = [layout.lowest, layout.highest];
        let ends: Option<Vec<u64>> = ends.iter().map(|file| tree.number(file).ok()).collect();
        OppTable::of(ends?, Unit::Hz)
    })
}

impl Emc {
    fn write(&mut self, opp: Opp) -> Result<(), (Role, Refusal)> {
        // Under the lock first, so that nobody changes the rate in between.
        if self.knobs[LOCK].read() != Ok(1) {
            self.knobs[LOCK].write(1).map_err(|why| (Role::Lock, why))?;
        }
        self.knobs[RATE]
            .write(opp.raw())
            .map_err(|why| (Role::Rate, why))
    }

    fn compare(&self, asked: Opp, lock: u64, rate: u64) -> Outcome {
        let reads = self.opps.reading(rate);
        let clamped = |by| Outcome::Clamped { to: reads, by };
        match self.caps.now(&self.opps) {
            _ if lock != 1 => clamped(Limiter::Other),
            _ if self.opps.point(rate) == Some(asked) => Outcome::InEffect,
            Some(cap) if cap.raw < asked.raw() => clamped(cap.by),
            _ => Outcome::Pending { reads },
        }
    }
}

impl ClockDomain for Emc {
    fn name(&self) -> &str {
        "emc"
    }

    fn kind(&self) -> DomainKind {
        DomainKind::Emc
    }

    fn opps(&self) -> &OppTable {
        &self.opps
    }

    fn now(&self) -> Result<Reading, Errno> {
        let rate = self.knobs[RATE].read()?;
        Ok(Reading {
            khz: self.opps.reading(rate),
            measured: true,
        })
    }

    fn allowed(&mut self) -> Allowed {
        let highest = self.opps.highest();
        match self.caps.now(&self.opps) {
            Some(cap) if cap.raw < highest.raw() => Allowed {
                highest: self.opps.at_most(cap.raw).khz(),
                by: Some(cap.by),
            },
            _ => Allowed {
                highest: highest.khz(),
                by: None,
            },
        }
    }

    fn set(&mut self, opp: Opp) -> Outcome {
        if !self.opps.contains(opp) {
            let why = Refusal::OffTable;
            return Outcome::Refused { knob: None, why };
        }
        self.asked = Some(opp);
        match self.write(opp) {
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
        match (self.knobs[LOCK].read(), self.knobs[RATE].read()) {
            (Ok(lock), Ok(rate)) => self.compare(asked, lock, rate),
            (Err(errno), _) => refused(Role::Lock, errno),
            (_, Err(errno)) => refused(Role::Rate, errno),
        }
    }

    fn folder(&self) -> &str {
        self.folder
    }

    fn governor(&self) -> Option<String> {
        None
    }

    fn knobs(&mut self) -> &mut [Knob] {
        &mut self.knobs
    }

    fn save(&self) -> Result<Vec<Saved>, SaveError> {
        let mut saved = Vec::with_capacity(2);
        for knob in &self.knobs {
            let value = knob.read().map_err(|errno| SaveError {
                file: knob.shown().to_owned(),
                errno,
            })?;
            saved.push(Saved::new(knob, value, value));
        }
        Ok(saved)
    }
}
