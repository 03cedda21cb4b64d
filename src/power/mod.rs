//! Power sensors, what they measure, and energy with an error bar.
//!
//! Guarantees: every figure says its boundary (which rails), its sensor, the
//! sensor's window and an error bar that follows from that window; a stretch that
//! is shorter than the window has no figure. A reading that fails is counted and
//! its time is a gap, never a zero. Where there is no sensor there is no figure.
//! After its start the sampler allocates nothing, and neither does its reader.
//!
//! Not guaranteed: that the sensor is calibrated (gain and shunt errors are in the
//! bar only where the sensor states them); that a pulse shorter than the window is
//! seen at its height by a sensor that looks at one rail at a time.
//!
//! Cost: one thread that sleeps; each reading is one `pread` a file (about 1 ms on
//! an INA3221, which the thread sleeps through), and only the rails of the boundary
//! are read. A figure is two binary searches.
//!
//! Words: a *rail* is one supply line that a sensor measures; the *boundary* is the
//! set of rails that are added up; the *window* is the time that a reading blurs
//! over (how often the sensor refreshes it, and how long it averages); a *mark* is
//! the energy since the start at one moment; a *figure* is the energy between two
//! moments, with its bar. How the bar comes about: [`figure`].
//!
//! ```no_run
//! use e4::power::{Root, Sampler, Wish, select};
//!
//! let wish = Wish::default();
//! if let Some(sensor) = select(&Root::default(), &wish)?.sensor {
//!     let mut sampler = Sampler::start(sensor)?;
//!     let from = e4::monotonic::now_ns();
//!     std::thread::sleep(std::time::Duration::from_secs(1));
//!     let energy = sampler.settled(from, e4::monotonic::now_ns());
//!     println!("{energy:?} within {}", sampler.facts().boundary);
//! }
//! # Ok::<(), e4::power::PowerError>(())
//! ```

mod board;
mod boundary;
mod counter;
mod discover;
mod error;
pub mod figure;
mod files;
mod found;
mod gauge;
mod history;
mod integrate;
mod rows;
mod sampler;
mod select;
mod sensor;
#[cfg(test)]
mod tests;
mod wattmeter;

pub use board::{Board, boards, detect};
pub use boundary::{Basis, Boundary};
pub use counter::EnergyCounter;
pub use discover::discover;
pub use error::{Fault, PowerError, RailFault};
pub use figure::{Figure, Mark};
pub use files::Root;
pub use found::{Found, FoundRail, Measure, SensorKind};
pub use history::{History, Moment};
pub use integrate::Integrator;
pub use rows::{PowerRow, rows};
pub use sampler::{EnergyTap, Facts, Losses, Sampler};
pub use select::{Choice, Selected, Wish, open, select};
pub use sensor::{PowerSensor, Quantity, Window, WindowSource};
pub use wattmeter::Wattmeter;
