use super::*;
use crate::clocks::{Allowed, Knob, OppTable, Reading, SaveError, Unit, guard::Saved};
use nix::errno::Errno;

/// A clock in memory that comes some time after it is asked for.
#[derive(Debug)]
struct Slow {
    opps: OppTable,
    delay_ns: u64,
    old: Opp,
    asked: Opp,
    since_ns: u64,
    measured: bool,
    /// Whether it ever comes.
    comes: bool,
}

impl Slow {
    fn new(delay_ns: u64) -> Self {
        let opps = OppTable::parse("400000 800000 1600000", Unit::Khz).unwrap();
        Self {
            old: opps.lowest(),
            asked: opps.lowest(),
            opps,
            delay_ns,
            since_ns: 0,
            measured: true,
            comes: true,
        }
    }

    fn clock(&self) -> Opp {
        if self.comes && now_ns() - self.since_ns >= self.delay_ns {
            self.asked
        } else {
            self.old
        }
    }
}

impl ClockDomain for Slow {
    fn name(&self) -> &str {
        "slow"
    }
    fn kind(&self) -> DomainKind {
        DomainKind::Gpu
    }
    fn opps(&self) -> &OppTable {
        &self.opps
    }
    fn now(&self) -> Result<Reading, Errno> {
        Ok(Reading {
            khz: self.clock().khz(),
            measured: self.measured,
        })
    }
    fn allowed(&mut self) -> Allowed {
        Allowed {
            highest: self.opps.highest().khz(),
            by: None,
        }
    }
    fn set(&mut self, opp: Opp) -> Outcome {
        self.old = self.clock();
        self.asked = opp;
        self.since_ns = now_ns();
        self.check()
    }
    fn check(&mut self) -> Outcome {
        match self.clock() {
            _ if !self.measured => Outcome::Unverified,
            clock if clock == self.asked => Outcome::InEffect,
            clock => Outcome::Pending { reads: clock.khz() },
        }
    }
    fn folder(&self) -> &str {
        ""
    }
    fn governor(&self) -> Option<String> {
        None
    }
    fn knobs(&mut self) -> &mut [Knob] {
        &mut []
    }
    fn save(&self) -> Result<Vec<Saved>, SaveError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_transition_is_never_shorter_than_it_was() {
    let mut domain = Slow::new(3_000_000);
    let found = measure(&mut domain, None, 6, &|| true);
    assert_eq!(found.between_khz, (400_000, 1_600_000));
    assert_eq!(found.distributions.len(), 2);
    for d in &found.distributions {
        assert_eq!(
            (d.n, d.missed, d.by, d.verified),
            (6, 0, By::ReadBack, true)
        );
        assert!(d.p50_us.unwrap() >= 3_000.0, "{d:?}");
    }
}

#[test]
fn a_clock_that_never_comes_is_missed_and_not_a_number() {
    let mut domain = Slow::new(0);
    domain.comes = false;
    let found = measure(&mut domain, None, 1, &|| true);
    let up = &found.distributions[0];
    assert_eq!((up.n, up.missed, up.p50_us), (0, 1, None));
}

#[test]
fn a_wish_that_is_repeated_is_not_verified_and_said_so() {
    let mut domain = Slow::new(1_000_000);
    domain.measured = false;
    let found = measure(&mut domain, None, 3, &|| true);
    assert!(found.distributions.iter().all(|d| !d.verified && d.n == 3));
    assert!(
        found.notes[0].contains("asked for last"),
        "{:?}",
        found.notes
    );
}

#[test]
fn a_measurement_ends_when_it_is_asked_to() {
    let found = measure(&mut Slow::new(0), None, 1000, &|| false);
    assert!(
        found
            .distributions
            .iter()
            .all(|d| d.n == 0 && d.missed == 0)
    );
}
