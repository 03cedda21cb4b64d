//! Why there is no power, or no reading of it.

use nix::errno::Errno;

/// Why a rail gave no reading. Plain data, so that the sampler can count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The kernel said no.
    #[error("{0}")]
    System(Errno),
    /// The file is gone.
    #[error("the file is gone")]
    Gone,
    /// The file holds no number.
    #[error("what it holds is not a number")]
    NotANumber,
    /// Current flows backwards by more than the sensor's resolution.
    #[error(
        "its current flows backwards: a battery that charges, or a shunt connected the wrong way round"
    )]
    Backwards,
    /// An energy counter fell without being due to wrap.
    #[error("its energy counter went back")]
    WentBack,
}

/// A fault and the rail that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RailFault {
    /// Index among [`super::PowerSensor::rails`].
    pub rail: usize,
    /// Which of the rail's files, where several make its reading.
    pub part: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// Why energy that was asked for cannot be measured. One sentence that names the
/// flag to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PowerError {
    /// No sensor of the kind that was asked for.
    #[error(
        "--power-sensor {wanted}: this machine has {there}; without --power-sensor a run does without energy"
    )]
    NoSensor {
        /// Kind that was asked for.
        wanted: &'static str,
        /// What there is.
        there: String,
    },
    /// A flag that is of no use without one was given.
    #[error(
        "{flag} asks for energy, and this machine has no power sensor that can be read{why}; leave it out, or name a sensor with --power-sensor (e4 doctor lists them)"
    )]
    Asked {
        /// The flag.
        flag: &'static str,
        /// Sentences on sensors that cannot be read, with the words before them.
        why: String,
    },
    /// There is one, and it cannot be read.
    #[error("{sensor}: cannot read {file} ({fault}){fix}")]
    Unreadable {
        /// The sensor.
        sensor: String,
        /// Its file.
        file: String,
        /// Why.
        fault: Fault,
        /// What mends it, with the words before it; empty where nothing is known.
        fix: String,
    },
    /// A rail was named that the sensor does not have.
    #[error("--power-rails: {sensor} has no rail {rail}; it has {there}")]
    NoRail {
        /// The sensor.
        sensor: String,
        /// The rail that was named.
        rail: String,
        /// Those it has.
        there: String,
    },
    /// A board was named that nobody knows.
    #[error("--board {name}: not a board that e4 knows; those are {known}")]
    NoBoard {
        /// The name.
        name: String,
        /// The names that are known.
        known: String,
    },
    /// The sampler's thread cannot be started.
    #[error("cannot start the power sensor's thread: {0}")]
    Thread(String),
}
