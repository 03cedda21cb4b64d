//! Putting the guest back in order after a case.

use super::{modules, registers, unload};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::Duration;

/// What the guest was like before the first case.
#[derive(Debug)]
pub struct Rest {
    modules: BTreeSet<String>,
}

impl Rest {
    /// Notes the state to come back to.
    pub fn note() -> Self {
        registers::rest();
        Self {
            modules: modules().into_iter().collect(),
        }
    }

    /// Kills what still runs, sets the registers to rest, unloads what was loaded.
    /// Says what it could not undo.
    pub fn restore(&self) -> Option<String> {
        kill_strangers();
        registers::rest();
        let mut left = self.unload_strangers();
        for _ in 0..20 {
            if left.is_empty() {
                return None;
            }
            sleep(Duration::from_millis(100));
            left = self.unload_strangers();
        }
        Some(format!("leaves modules in use: {}", left.join(", ")))
    }

    fn unload_strangers(&self) -> Vec<String> {
        // Those that use others come first in the list: unload from the top.
        for module in modules() {
            if !self.modules.contains(&module) {
                let _ = unload(&module);
            }
        }
        let left = modules().into_iter();
        left.filter(|module| !self.modules.contains(module))
            .collect()
    }
}

/// Kills every process but the first and this one (kernel threads cannot be).
pub fn kill_strangers() {
    for pid in strangers() {
        let pid = nix::unistd::Pid::from_raw(pid);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// Prints where in the kernel each thread of the other processes is.
pub fn print_stacks() {
    for pid in strangers() {
        let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for thread in threads.flatten() {
            let read = |file| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
            println!("thread {} {}", thread.path().display(), read("comm").trim());
            println!("{}", read("stack").trim_end());
        }
    }
}

/// Processes with a program (an executable of their own), neither the first nor this.
fn strangers() -> Vec<i32> {
    let own = std::process::id().cast_signed();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != 1 && pid != own)
        .filter(|pid| fs::metadata(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.size() > 0))
        .collect()
}
