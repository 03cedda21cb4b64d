//! The clock domains of this machine as a [`Board`].
//!
//! An axis is one domain, or several clusters of cores with one table. Clusters
//! whose table differs from the first one's are left alone.

use super::board::{Answer, Board, State};
use super::{AXES, Axis};
use crate::clocks::{ClockDomain, DomainKind, Khz, Limiter, Opp, Outcome};
use crate::monotonic::now_ns;

/// One axis.
#[derive(Debug, Default)]
struct Domains {
    domains: Vec<Box<dyn ClockDomain>>,
    levels: Vec<u32>,
    /// One list a domain: the point of each level.
    opps: Vec<Vec<Opp>>,
}

/// Clock domains by axis.
#[derive(Debug, Default)]
pub struct Clocks {
    axes: [Domains; AXES],
    left_alone: Vec<String>,
}

impl Clocks {
    /// Sorts `domains` by axis.
    #[must_use]
    pub fn new(domains: Vec<Box<dyn ClockDomain>>) -> Self {
        let mut clocks = Self::default();
        for domain in domains {
            let axis = match domain.kind() {
                DomainKind::Cpu => Axis::Cpu,
                DomainKind::Gpu => Axis::Gpu,
                DomainKind::Emc => Axis::Emc,
            };
            let levels: Vec<u32> = domain.opps().iter().map(|opp| opp.khz().0).collect();
            let place = &mut clocks.axes[axis.index()];
            if !place.domains.is_empty() && place.levels != levels {
                clocks.left_alone.push(domain.name().to_owned());
                continue;
            }
            place.opps.push(domain.opps().iter().collect());
            place.levels = levels;
            place.domains.push(domain);
        }
        clocks
    }

    /// Keeps the axes that `wanted` names; the other domains are let go.
    #[must_use]
    pub fn only(mut self, wanted: [bool; AXES]) -> Self {
        for (axis, wanted) in self.axes.iter_mut().zip(wanted) {
            if !wanted {
                *axis = Domains::default();
            }
        }
        self
    }

    /// The domains, to be guarded: those that `guard` takes and gives back changed
    /// in nothing but that.
    ///
    /// # Errors
    /// Those of `guard`.
    pub fn guarded<T, E>(
        &mut self,
        guard: impl FnOnce(&mut [Box<dyn ClockDomain>]) -> Result<T, E>,
    ) -> Result<T, E> {
        let counts: [usize; AXES] = std::array::from_fn(|axis| self.axes[axis].domains.len());
        let all = self.axes.iter_mut().flat_map(|axis| axis.domains.drain(..));
        let mut all: Vec<_> = all.collect();
        let taken = guard(&mut all);
        let mut back = all.into_iter();
        for (axis, count) in self.axes.iter_mut().zip(counts) {
            axis.domains.extend(back.by_ref().take(count));
        }
        taken
    }

    /// Names of domains that no plan can set together with the first of their kind.
    #[must_use]
    pub fn left_alone(&self) -> &[String] {
        &self.left_alone
    }
}

impl Domains {
    /// Asks every domain; the answer is that of the one that is worst off.
    fn each(&mut self, ask: impl Fn(&mut dyn ClockDomain, &[Opp]) -> Outcome) -> Answer {
        let mut worst = State::InEffect;
        for (domain, opps) in self.domains.iter_mut().zip(&self.opps) {
            let state = state(ask(domain.as_mut(), opps), &self.levels);
            if rank(state) > rank(worst) {
                worst = state;
            }
        }
        Answer {
            state: worst,
            at_ns: now_ns(),
        }
    }
}

fn state(outcome: Outcome, levels: &[u32]) -> State {
    match outcome {
        Outcome::InEffect => State::InEffect,
        Outcome::Pending { .. } => State::Pending,
        Outcome::Clamped { to, by } => State::Clamped {
            level: level(levels, to),
            by,
        },
        Outcome::Refused { why, .. } => State::Refused(why),
        Outcome::Unverified => State::Unverified,
    }
}

/// The highest level that is not above `khz`.
fn level(levels: &[u32], khz: Khz) -> usize {
    levels.partition_point(|&l| l <= khz.0).saturating_sub(1)
}

fn rank(state: State) -> u8 {
    match state {
        State::InEffect => 0,
        State::Unverified => 1,
        State::Pending => 2,
        State::Clamped { .. } => 3,
        State::Refused(_) => 4,
    }
}

impl Board for Clocks {
    fn levels(&self, axis: usize) -> &[u32] {
        &self.axes[axis].levels
    }

    fn set(&mut self, axis: usize, level: usize, _now_ns: u64) -> Answer {
        self.axes[axis].each(|domain, opps| match opps.get(level) {
            Some(&opp) => domain.set(opp),
            None => domain.check(),
        })
    }

    fn check(&mut self, axis: usize, _now_ns: u64) -> Answer {
        self.axes[axis].each(|domain, _| domain.check())
    }

    fn allowed(&mut self, axis: usize) -> usize {
        let Domains {
            domains, levels, ..
        } = &mut self.axes[axis];
        let highest = domains.iter_mut().map(|d| d.allowed().highest).min();
        highest.map_or(0, |khz| level(levels, khz))
    }

    fn limiter(&mut self, axis: usize) -> Option<Limiter> {
        let allowed = self.axes[axis].domains.iter_mut().map(|d| d.allowed());
        allowed.min_by_key(|allowed| allowed.highest)?.by
    }

    fn read(&mut self, axis: usize) -> Option<(u32, bool)> {
        let reading = self.axes[axis].domains.first()?.now().ok()?;
        Some((reading.khz.0, reading.measured))
    }
}
