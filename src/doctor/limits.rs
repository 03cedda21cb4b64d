//! What the kernel lets this process do: scheduling classes, locked memory.

use super::host::quoted;
use super::{Check, Host, State, Subject, refused};
use crate::pipeline::OnError;
use crate::rt::capability::Capability;
use crate::rt::{SchedClass, ThreadSetup, priority};

/// Whether threads may run in the real-time class that is asked for.
pub(super) fn class(subject: &Subject<'_>) -> Check {
    const ID: &str = "rt-class";
    const WHY: &str = "in a real-time class a thread runs as soon as it can; in the default one it waits for its share, for milliseconds on a busy host";
    let asked = subject.class();
    let (class, on_error) = asked.unwrap_or((SchedClass::Fifo(priority::DVFS), OnError::Warn));
    let wanted = class.priority().unwrap_or(1);
    let host = &subject.host;
    let limit = host.limit("Max realtime priority").unwrap_or(0);
    let right = if held(host, Capability::SysNice) {
        "CAP_SYS_NICE is held".to_owned()
    } else if limit >= u64::from(wanted) {
        format!("the rtprio limit is {limit}")
    } else {
        let found = format!(
            "{class} needs CAP_SYS_NICE or an rtprio limit of at least {wanted}; the limit is {limit}"
        );
        return Check::new(ID, WHY, refused(asked.is_some(), on_error), found)
            .fix(grant(host, Capability::SysNice));
    };
    match try_class(host, class) {
        Ok(()) => Check::new(ID, WHY, State::Ok, format!("{right}: {class} is granted")),
        Err(error) => Check::new(
            ID,
            WHY,
            refused(asked.is_some(), on_error),
            format!("{right}, and still {error}"),
        )
        .fix("sudo sysctl -w kernel.sched_rt_runtime_us=-1"),
    }
}

/// Asks the kernel itself: groups of processes may have no real-time share.
fn try_class(host: &Host, class: SchedClass) -> Result<(), String> {
    if !host.is_real() {
        return Ok(());
    }
    let setup = ThreadSetup {
        class,
        ..ThreadSetup::default()
    };
    let tried = std::thread::scope(|scope| scope.spawn(|| setup.apply()).join());
    match tried {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the thread that tried it panicked".to_owned()),
    }
}

/// Share of a core that real-time threads may take.
pub(super) fn throttling(subject: &Subject<'_>) -> Check {
    const ID: &str = "rt-throttling";
    const WHY: &str = "beyond this share of a period the kernel stalls every real-time thread of a core until the period ends";
    const FIX: &str = "sudo sysctl -w kernel.sched_rt_runtime_us=950000";
    let read = |name: &str| -> Option<i64> {
        let text = subject.host.read(format!("/proc/sys/kernel/{name}"))?;
        text.parse().ok()
    };
    let period = read("sched_rt_period_us").unwrap_or(1_000_000);
    let (state, found) = match read("sched_rt_runtime_us") {
        None => (State::NotApplicable, "the kernel has no such limit".into()),
        Some(runtime) if runtime < 0 => (State::Ok, "no limit".into()),
        Some(0) => {
            let (asked, on_error) = match subject.class() {
                Some((_, on_error)) => (true, on_error),
                None => (false, OnError::Warn),
            };
            let found = "real-time threads get no time at all";
            (refused(asked, on_error), found.to_owned())
        }
        Some(runtime) => {
            let found = format!("{runtime} of every {period} us");
            let enough = runtime.saturating_mul(10) >= period.saturating_mul(9);
            (if enough { State::Ok } else { State::Warn }, found)
        }
    };
    let check = Check::new(ID, WHY, state, found);
    match state {
        State::Warn | State::Fail => check.fix(FIX),
        State::Ok | State::NotApplicable => check,
    }
}

/// Whether memory may be locked.
pub(super) fn memlock(subject: &Subject<'_>) -> Check {
    const ID: &str = "memlock";
    const WHY: &str = "a page that the kernel took away costs a stage a fault, from a microsecond to a read from disk";
    let host = &subject.host;
    let limit = host.limit("Max locked memory").unwrap_or(0);
    if held(host, Capability::IpcLock) {
        return Check::new(ID, WHY, State::Ok, "CAP_IPC_LOCK is held");
    }
    if limit == u64::MAX {
        return Check::new(ID, WHY, State::Ok, "the memlock limit is unlimited");
    }
    let found = format!(
        "locking the process in memory needs CAP_IPC_LOCK or an unlimited memlock limit; the limit is {} KiB",
        limit >> 10
    );
    let state = subject.refused(subject.config.lock_memory());
    Check::new(ID, WHY, state, found).fix(grant(host, Capability::IpcLock))
}

/// Whether the kernel may swap.
pub(super) fn swap(subject: &Subject<'_>) -> Check {
    const ID: &str = "swap";
    const WHY: &str = "what is swapped out comes back in milliseconds; locked memory stays, but what the kernel and others keep for us does not";
    let text = subject.host.read("/proc/swaps").unwrap_or_default();
    let areas = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next());
    let areas: Vec<_> = areas.collect();
    match areas.as_slice() {
        [] => Check::new(ID, WHY, State::Ok, "none in use"),
        areas => Check::new(
            ID,
            WHY,
            State::Warn,
            format!("in use: {}", areas.join(", ")),
        )
        .fix("sudo swapoff -a"),
    }
}

fn status(host: &Host) -> String {
    host.read("/proc/self/status").unwrap_or_default()
}

fn held(host: &Host, capability: Capability) -> bool {
    capability.held_in(&status(host)) == Some(true)
}

/// The command that gives this program what real time needs. File capabilities
/// replace each other, so that it names them all.
fn grant(host: &Host, missing: Capability) -> String {
    if missing.attainable_in(&status(host)) == Some(false) {
        let short = missing.name().trim_start_matches("CAP_");
        return format!(
            "docker run --cap-add={short} IMAGE e4 doctor # here not even root has it; in a unit: CapabilityBoundingSet={name} AmbientCapabilities={name}",
            name = missing.name()
        );
    }
    let program = std::env::current_exe().unwrap_or_else(|_| "e4".into());
    format!(
        "sudo setcap cap_ipc_lock,cap_sys_nice+ep {}",
        quoted(&program)
    )
}
