//! Clock domains: what they can run at, what they run at, who else limits them,
//! how they are set, and how they are always given back.
//!
//! Guarantees: a clock is only ever one of the kernel's own table; nothing is
//! written before a [`Guard`] holds what was there; a wish is read back and called
//! in effect only where the hardware shows it. Setting and reading back allocate
//! nothing.
//!
//! Not guaranteed: that a clock comes at once ([`Outcome::Pending`], [`settle`]);
//! that it stays, for the kernel may throttle and others may write to the same
//! files. A domain may be absent: [`Inventory::absent`] says why.
//!
//! Cost: a set is at most two `pwrite`s to the clock's files, one to the guard for
//! each, and two or three `pread`s.
//!
//! ```no_run
//! use e4::clocks::{Guard, Khz, Place, discover, recover};
//!
//! let place = Place::default();
//! recover(&place.runtime_dir, None)?; // what a killed e4 has left
//! let mut found = discover(&place.tree);
//! let guard = Guard::claim(&place, &mut found.domains)?;
//! for domain in &mut found.domains {
//!     let slowest = domain.opps().lowest();
//!     let outcome = domain.set(slowest);
//!     println!("{} at {}: {outcome:?}", domain.name(), slowest.khz());
//! }
//! guard.give_back();
//! # Ok::<(), e4::clocks::GuardError>(())
//! ```

mod caps;
mod cpufreq;
mod devfreq;
mod domain;
mod emc;
pub mod guard;
mod inventory;
mod khz;
mod limits;
mod opp;
mod rows;
mod sysfs;

pub use caps::{Cap, Caps, Limiter};
pub use domain::{Allowed, ClockDomain, DomainKind, Outcome, Reading, SaveError, settle};
pub use emc::Emc;
pub use guard::{Guard, GuardError, GuardHandle, Place, recover};
pub use inventory::{Absent, Inventory, discover, discover_within};
pub use khz::{Khz, Unit};
pub use limits::Limited;
pub use opp::{Opp, OppTable};
pub use rows::{ClockRow, rows};
pub use sysfs::{Gauge, Knob, Refusal, Role, Tree};
