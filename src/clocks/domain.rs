//! The seam: what a clock domain can be asked.

use super::caps::Limiter;
use super::guard::Saved;
use super::khz::Khz;
use super::opp::{Opp, OppTable};
use super::sysfs::{Knob, Refusal, Role};
use nix::errno::Errno;
use std::fmt::Debug;

/// What a domain clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainKind {
    /// A cluster of cores.
    Cpu,
    /// The GPU, or a part of it.
    Gpu,
    /// The memory controller.
    Emc,
}

/// A clock as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The table's clock that was read; what is more than 2 % beside every one of
    /// them ([`OppTable::point`]), as it was read.
    pub khz: Khz,
    /// Read from the hardware; otherwise it is only what was asked for last.
    pub measured: bool,
}

/// The highest clock that may be had now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// A clock of the table.
    pub highest: Khz,
    /// Who keeps it below the table's highest.
    pub by: Option<Limiter>,
}

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hardware runs at the clock that was asked for.
    InEffect,
    /// Every file took it; the hardware still shows another clock.
    Pending {
        /// The clock that it shows.
        reads: Khz,
    },
    /// The clock is, or will be, another one.
    Clamped {
        /// Which.
        to: Khz,
        /// Because of whom.
        by: Limiter,
    },
    /// A file did not take it.
    Refused {
        /// The file's role; `None` when it came to no write at all.
        knob: Option<Role>,
        /// Why.
        why: Refusal,
    },
    /// Every file took it; the hardware does not show its clock.
    Unverified,
}

/// A clock that can be set: the seam between what decides on clocks and what
/// has them. Object-safe; one owner at a time.
///
/// [`set`](Self::set), [`check`](Self::check), [`now`](Self::now) and
/// [`allowed`](Self::allowed) allocate nothing and make no system call but reads
/// and writes on descriptors that are open already, so that a real-time thread
/// may call them. A write can sleep in the driver for as long as that takes.
///
/// Nothing is written before [`Guard::claim`](super::Guard::claim) has taken the
/// domain; until then `set` is [`Refusal::Unguarded`].
pub trait ClockDomain: Send + Debug {
    /// Its name, unique on a board: `cpu0` (by its first core), `gpu`, `emc`.
    fn name(&self) -> &str;

    /// What it clocks.
    fn kind(&self) -> DomainKind;

    /// Its operating points, as the kernel lists them.
    fn opps(&self) -> &OppTable;

    /// Its clock now.
    ///
    /// # Errors
    /// The system's.
    fn now(&self) -> Result<Reading, Errno>;

    /// The highest clock that others allow now. A cap that another process wrote
    /// into the limit files is remembered until it writes a higher one.
    fn allowed(&mut self) -> Allowed;

    /// Pins the domain to `opp`: at most two files, each written once, in the
    /// order in which the lower limit is never above the upper one. Never goes
    /// above what another process or nvpmodel allows. Reads back once.
    fn set(&mut self, opp: Opp) -> Outcome;

    /// Reads back what became of the last [`set`](Self::set); before the first
    /// one, [`Outcome::Unverified`].
    fn check(&mut self) -> Outcome;

    /// The folder of its files, named from the tree's root on; empty for one
    /// that has none.
    fn folder(&self) -> &str;

    /// The file that names its governor.
    fn governor(&self) -> Option<String>;

    /// The files it is set by. A simulated domain has none.
    fn knobs(&mut self) -> &mut [Knob];

    /// What each of [`knobs`](Self::knobs) holds, and what it is to be given
    /// back: a limit that is low only for now is given back as the hardware's.
    ///
    /// # Errors
    /// The file that cannot be read, with the system's reason.
    fn save(&self) -> Result<Vec<Saved>, SaveError>;
}

/// A file whose value cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("/{file} {}, so that it could not be given back", why(*.errno))]
pub struct SaveError {
    /// The file, from the root on.
    pub file: String,
    /// The system's reason.
    pub errno: Errno,
}

fn why(errno: Errno) -> String {
    match errno {
        Errno::EINVAL => "holds no number".to_owned(),
        errno => format!("cannot be read ({errno})"),
    }
}

/// Reads back until the outcome is final or `deadline_ns` (of
/// [`monotonic::now_ns`](crate::monotonic::now_ns)) has passed; a clock that has
/// not come by then is clamped by the hardware.
pub fn settle(domain: &mut dyn ClockDomain, deadline_ns: u64) -> Outcome {
    const STEP: std::time::Duration = std::time::Duration::from_micros(200);
    loop {
        match domain.check() {
            Outcome::Pending { reads } if crate::monotonic::now_ns() >= deadline_ns => {
                return Outcome::Clamped {
                    to: reads,
                    by: Limiter::Hardware,
                };
            }
            Outcome::Pending { .. } => std::thread::sleep(STEP),
            done => return done,
        }
    }
}
