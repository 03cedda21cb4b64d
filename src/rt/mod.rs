//! Real time: where a thread runs, in which scheduling class, and what the
//! kernel does behind its back.
//!
//! Guarantees: [`ThreadSetup::apply`] either leaves the calling thread as asked
//! or says which setting was refused and what would permit it. Not guaranteed:
//! any latency; a first-in-first-out thread that never sleeps is stalled by the
//! kernel for tens of milliseconds a second (`sched_rt_runtime_us`).
//!
//! Cost: system calls at start, nothing a frame.

pub mod capability;
mod cores;
pub mod latency;
pub mod memory;
pub mod nice;
pub mod priority;
pub mod service;
pub mod signals;

pub use cores::{cores, parse_list, usable, usable_cores};

use core_affinity::CoreId;
use std::fmt;
use std::io;

/// Scheduling class of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchedClass {
    /// The time-shared default.
    #[default]
    Other,
    /// First in, first out, at this priority (1..=99).
    Fifo(u8),
    /// Round robin, at this priority (1..=99).
    RoundRobin(u8),
}

impl SchedClass {
    /// Its priority, where it is a real-time class.
    #[must_use]
    pub fn priority(self) -> Option<u8> {
        match self {
            Self::Other => None,
            Self::Fifo(priority) | Self::RoundRobin(priority) => Some(priority),
        }
    }

    fn policy(self) -> (libc::c_int, u8) {
        match self {
            Self::Other => (libc::SCHED_OTHER, 0),
            Self::Fifo(priority) => (libc::SCHED_FIFO, priority),
            Self::RoundRobin(priority) => (libc::SCHED_RR, priority),
        }
    }
}

impl fmt::Display for SchedClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("other"),
            Self::Fifo(priority) => write!(f, "fifo at priority {priority}"),
            Self::RoundRobin(priority) => write!(f, "round robin at priority {priority}"),
        }
    }
}

/// Why a thread does not run as asked.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The core is not among those this process may use.
    #[error("core: {core} is not one this process may run on ({allowed})", allowed = list(.cores))]
    Core {
        /// The core asked for.
        core: usize,
        /// Those it may use.
        cores: Vec<usize>,
    },
    /// The scheduling class was refused.
    #[error("class: {class} was refused ({source}): {}", advice(.source))]
    Class {
        /// The class asked for.
        class: SchedClass,
        /// The system's reason.
        source: io::Error,
    },
}

fn list(cores: &[usize]) -> String {
    let cores: Vec<String> = cores.iter().map(usize::to_string).collect();
    cores.join(", ")
}

fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => {
            "it needs CAP_SYS_NICE or an rtprio limit as high; run as root, or `setcap cap_sys_nice+ep` the binary, or use class other"
        }
        Some(libc::EINVAL) => "a real-time priority is from 1 to 99",
        _ => "use class other",
    }
}

/// How a thread is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadSetup {
    /// Core to pin to; `None` leaves the choice to the scheduler.
    pub core: Option<usize>,
    /// Scheduling class.
    pub class: SchedClass,
    /// How late, in nanoseconds, the kernel may end a timed sleep to save
    /// wake-ups; 0 is the thread's default, 50 us as a rule. Real-time classes
    /// know no slack.
    pub timer_slack_ns: u32,
}

impl Default for ThreadSetup {
    /// Anywhere, in the default class, with the finest timers.
    fn default() -> Self {
        Self {
            core: None,
            class: SchedClass::Other,
            timer_slack_ns: 1,
        }
    }
}

impl ThreadSetup {
    /// Applies it to the calling thread. Every part is tried, also after one was
    /// refused.
    ///
    /// # Errors
    /// The first part that was refused.
    pub fn apply(&self) -> Result<(), SetupError> {
        slacken_timers(self.timer_slack_ns);
        let pinned = self.core.map_or(Ok(()), pin);
        let classed = set_class(self.class);
        pinned.and(classed)
    }
}

fn pin(core: usize) -> Result<(), SetupError> {
    if core_affinity::set_for_current(CoreId { id: core }) {
        return Ok(());
    }
    let cores = cores();
    Err(SetupError::Core { core, cores })
}

fn set_class(class: SchedClass) -> Result<(), SetupError> {
    let (policy, priority) = class.policy();
    let priority = libc::c_int::from(priority);
    // The system call itself: musl's function of this name always refuses.
    // SAFETY: the kernel's `struct sched_param` is this one integer, which outlives
    // the call; 0 is the calling thread.
    match unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) } {
        0 => Ok(()),
        _ => Err(SetupError::Class {
            class,
            source: io::Error::last_os_error(),
        }),
    }
}

/// The kernel refuses this to nobody.
fn slacken_timers(slack_ns: u32) {
    // SAFETY: this prctl takes an integer and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, libc::c_ulong::from(slack_ns)) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn on_a_thread(setup: ThreadSetup) -> (Result<(), SetupError>, Vec<usize>) {
        thread::spawn(move || (setup.apply(), cores()))
            .join()
            .unwrap()
    }

    #[test]
    fn a_pinned_thread_has_one_core() {
        let last = *cores().last().unwrap();
        let setup = ThreadSetup {
            core: Some(last),
            ..ThreadSetup::default()
        };
        let (result, cores) = on_a_thread(setup);
        result.unwrap();
        assert_eq!(cores, [last]);
    }

    #[test]
    fn timers_get_the_slack_that_was_asked_for() {
        let slack = |timer_slack_ns| {
            let setup = ThreadSetup {
                timer_slack_ns,
                ..ThreadSetup::default()
            };
            let read = move || {
                setup.apply().unwrap();
                // SAFETY: this prctl takes nothing and returns the slack.
                unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }
            };
            thread::spawn(read).join().unwrap()
        };
        assert_eq!(slack(1), 1);
        assert_eq!(slack(70_000), 70_000);
    }

    #[test]
    fn a_core_that_is_not_there_is_named_with_those_that_are() {
        let setup = ThreadSetup {
            core: Some(1_000),
            ..ThreadSetup::default()
        };
        let error = on_a_thread(setup).0.unwrap_err().to_string();
        assert!(error.starts_with("core: 1000 is not"), "{error}");
        assert!(error.contains(&list(&cores())), "{error}");
    }

    #[test]
    fn an_impossible_priority_is_refused_with_its_range() {
        let setup = ThreadSetup {
            class: SchedClass::Fifo(0),
            ..ThreadSetup::default()
        };
        let error = on_a_thread(setup).0.unwrap_err().to_string();
        assert!(error.contains("from 1 to 99"), "{error}");
    }

    #[test]
    fn a_real_time_class_is_granted_or_the_missing_right_is_named() {
        let class = SchedClass::Fifo(10);
        let setup = ThreadSetup {
            class,
            ..ThreadSetup::default()
        };
        if let Err(error) = on_a_thread(setup).0 {
            assert!(error.to_string().contains("CAP_SYS_NICE"), "{error}");
        }
    }
}
