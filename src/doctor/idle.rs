//! How deep cores sleep between frames, and whether that can be limited.

use super::{Check, Host, State, Subject};
use crate::rt::latency::{self, NODE};
use std::io::ErrorKind;

/// The idle states that cores may enter while a run lasts.
pub(super) fn states(subject: &Subject<'_>) -> Check {
    const ID: &str = "idle-states";
    const WHY: &str = "a core that sleeps deeply takes this much longer to wake up for each frame";
    /// What a wake-up from a futex costs anyway.
    const HARMLESS_US: u64 = 50;
    let Some((name, us)) = deepest(&subject.host) else {
        return Check::new(
            ID,
            WHY,
            State::NotApplicable,
            "the kernel manages none here",
        );
    };
    let found = format!("the deepest, {name}, takes {us} us to leave");
    match subject.config.cpu_latency_us() {
        Some(limit) => {
            let found = format!("{found}; the run limits that to {limit} us");
            Check::new(ID, WHY, State::Ok, found)
        }
        None if us <= HARMLESS_US => Check::new(ID, WHY, State::Ok, found),
        None => Check::new(ID, WHY, State::Warn, found).fix("e4 run --cpu-dma-latency 0"),
    }
}

/// The enabled idle state that takes longest to leave, on any core.
fn deepest(host: &Host) -> Option<(String, u64)> {
    const CPU: &str = "/sys/devices/system/cpu";
    let cores = host.names(CPU).into_iter();
    let cores = cores.filter(|name| name.strip_prefix("cpu").is_some_and(is_number));
    let folders = cores.flat_map(|core| {
        let folder = format!("{CPU}/{core}/cpuidle");
        let states = host.names(&folder).into_iter();
        states.map(move |state| format!("{folder}/{state}"))
    });
    let enabled = folders.filter(|f| host.read(format!("{f}/disable")).as_deref() != Some("1"));
    let read = |folder: String| {
        let us = host.read(format!("{folder}/latency"))?.parse().ok()?;
        Some((host.read(format!("{folder}/name"))?, us))
    };
    enabled.filter_map(read).max_by_key(|&(_, us)| us)
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

/// Whether idle states can be limited for a run.
pub(super) fn latency(subject: &Subject<'_>) -> Check {
    const ID: &str = "cpu-dma-latency";
    const WHY: &str = "held open, it keeps cores out of idle states that take long to leave, for as long as a run lasts and no longer";
    const RULE: &str = "echo 'KERNEL==\"cpu_dma_latency\", GROUP=\"video\", MODE=\"0660\"' | sudo tee /etc/udev/rules.d/60-e4-latency.rules && sudo udevadm control --reload && sudo udevadm trigger --name-match=cpu_dma_latency && sudo usermod -aG video \"$(id -un)\" # then log in again";
    const MAKE: &str = "sudo mknod -m 660 /dev/cpu_dma_latency c 10 $(awk '$2==\"cpu_dma_latency\"{print $1}' /proc/misc)";
    let node = subject.host.path(NODE);
    let error = match latency::open(&node) {
        Ok(_) => {
            let found = format!("{NODE} can be written to");
            return Check::new(ID, WHY, State::Ok, found);
        }
        Err(error) => error,
    };
    let missing = error.kind() == ErrorKind::NotFound;
    let state = subject.refused(subject.config.cpu_latency_us().is_some());
    Check::new(ID, WHY, state, format!("{NODE}: {error}")).fix(if missing { MAKE } else { RULE })
}
