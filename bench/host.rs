//! Where the benches run.

use e4::rt::{SchedClass, ThreadSetup, cores};
use std::fmt;
use std::thread;

/// The two cores of the benches and the class their threads get: real time
/// where it is permitted, so that other work on the machine does not count.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub first: Option<usize>,
    pub last: Option<usize>,
    pub class: SchedClass,
}

impl Host {
    pub fn here() -> Self {
        let cores = cores();
        let class = SchedClass::Fifo(50);
        let permitted = thread::spawn(move || {
            ThreadSetup {
                core: None,
                class,
                ..ThreadSetup::default()
            }
            .apply()
            .is_ok()
        })
        .join()
        .unwrap_or(false);
        Self {
            first: cores.first().copied(),
            last: cores.last().copied(),
            class: if permitted { class } else { SchedClass::Other },
        }
    }

    /// False where nothing can be measured between two cores.
    pub fn has_two_cores(&self, bench: &str) -> bool {
        let two = self.first != self.last;
        if !two {
            eprintln!("{bench}: this machine has one core, and this is about two");
        }
        two
    }

    /// Pins the calling thread.
    pub fn set_up(&self, core: Option<usize>) {
        let class = self.class;
        if let Err(error) = (ThreadSetup {
            core,
            class,
            ..ThreadSetup::default()
        })
        .apply()
        {
            eprintln!("bench thread: {error}");
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = |core: Option<usize>| core.map_or_else(|| "?".to_owned(), |c| c.to_string());
        let (first, last) = (core(self.first), core(self.last));
        write!(f, "cores {first} and {last}, class {}", self.class)
    }
}
