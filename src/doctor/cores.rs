//! The cores that threads are pinned to, and who else uses them.

use super::host::numbers;
use super::{Check, Host, State, Subject};
use crate::rt::parse_list;

const CPU: &str = "/sys/devices/system/cpu";

/// Whether the cores that threads are pinned to are there.
pub(super) fn present(subject: &Subject<'_>) -> Check {
    const ID: &str = "cores";
    const WHY: &str =
        "a thread that is pinned to a core that this process may not use cannot start";
    let usable = subject.host.usable_cores();
    let threads = subject.placement.threads();
    let placed: Vec<String> = threads
        .iter()
        .map(|thread| match thread.core {
            Some(core) => format!("{} on {core}", thread.stages[0]),
            None => format!("{} anywhere", thread.stages[0]),
        })
        .collect();
    let mut missing: Vec<usize> = threads.iter().filter_map(|thread| thread.core).collect();
    missing.retain(|core| !usable.contains(core));
    missing.dedup();
    let mut sorted = usable;
    sorted.sort_unstable();
    let Some(first) = missing.first() else {
        return Check::new(ID, WHY, State::Ok, placed.join(", "));
    };
    let found = format!(
        "core {} is not among those that this process may use ({})",
        numbers(&missing),
        numbers(&sorted)
    );
    Check::new(ID, WHY, State::Fail, found).fix(bring_in(&subject.host, *first))
}

/// The command that gives this process `core`.
fn bring_in(host: &Host, core: usize) -> String {
    let list = |name: &str| parse_list(&host.read(format!("{CPU}/{name}")).unwrap_or_default());
    let online = list("online");
    if online.contains(&core) {
        let online = numbers(&online);
        return format!(
            "taskset -cp {online} $$ # in the shell that starts e4; in a unit: AllowedCPUs={online}"
        );
    }
    if list("present").contains(&core) {
        return format!("echo 1 | sudo tee {CPU}/cpu{core}/online");
    }
    format!("cat {CPU}/present # name one of these cores instead, or auto")
}

/// Whether the scheduler keeps others off infer's core.
pub(super) fn isolated(subject: &Subject<'_>) -> Check {
    const ID: &str = "isolcpus";
    const WHY: &str = "the scheduler puts other processes on infer's core, in mid-frame, unless the kernel was told to leave it alone";
    kept_free(subject, ID, WHY, "isolated", "isolcpus")
}

/// Whether infer's core is free of the scheduler's tick.
pub(super) fn tickless(subject: &Subject<'_>) -> Check {
    const ID: &str = "nohz-full";
    const WHY: &str = "the scheduler's tick interrupts a core 100 to 1000 times a second unless the kernel was told to stop it where a single thread runs";
    kept_free(subject, ID, WHY, "nohz_full", "nohz_full")
}

/// Whether infer's core is in the kernel's list `name`, which `argument` fills.
fn kept_free(
    subject: &Subject<'_>,
    id: &'static str,
    why: &'static str,
    name: &str,
    argument: &str,
) -> Check {
    let core = match alone(subject) {
        Ok(core) => core,
        Err(reason) => return Check::new(id, why, State::NotApplicable, reason),
    };
    let Some(text) = subject.host.read(format!("{CPU}/{name}")) else {
        let found = "this kernel is built without it";
        return Check::new(id, why, State::NotApplicable, found);
    };
    if parse_list(&text).contains(&core) {
        return Check::new(id, why, State::Ok, format!("core {core} (infer)"));
    }
    Check::new(
        id,
        why,
        State::Warn,
        format!("core {core} (infer) is not among them"),
    )
    .fix(subject.host.kernel_argument(&format!("{argument}={core}")))
}

/// Infer's core, where others could be kept off it.
fn alone(subject: &Subject<'_>) -> Result<usize, &'static str> {
    let core = subject.infer_core().ok_or("infer is pinned to no core")?;
    let others = subject
        .host
        .usable_cores()
        .iter()
        .any(|&other| other != core);
    others.then_some(core).ok_or("there is no other core")
}

/// Whether devices interrupt infer's core.
pub(super) fn interrupts(subject: &Subject<'_>) -> Check {
    const ID: &str = "irq-affinity";
    const WHY: &str = "a device that interrupts infer's core stops it in mid-segment";
    let core = match alone(subject) {
        Ok(core) => core,
        Err(reason) => return Check::new(ID, WHY, State::NotApplicable, reason),
    };
    let host = &subject.host;
    let devices: Vec<(usize, String)> = host
        .names("/proc/irq")
        .iter()
        .filter_map(|name| Some((name.parse().ok()?, device_of(host, name)?)))
        .collect();
    let here = |irq: &usize| {
        let list = |kind: &str| host.read(format!("/proc/irq/{irq}/{kind}affinity_list"));
        let cores = list("effective_").filter(|text| !text.is_empty());
        let cores = cores.or_else(|| list("smp_")).unwrap_or_default();
        parse_list(&cores).contains(&core)
    };
    let ours: Vec<_> = devices.iter().filter(|(irq, _)| here(irq)).collect();
    if devices.is_empty() {
        return Check::new(
            ID,
            WHY,
            State::NotApplicable,
            "no device's interrupts are to be seen",
        );
    }
    if ours.is_empty() {
        let found = format!("no device interrupts core {core} (infer)");
        return Check::new(ID, WHY, State::Ok, found);
    }
    let named: Vec<String> = ours
        .iter()
        .map(|(irq, name)| format!("{irq} ({name})"))
        .collect();
    let irqs: Vec<String> = ours.iter().map(|(irq, _)| irq.to_string()).collect();
    let mut elsewhere = host.usable_cores();
    elsewhere.retain(|&other| other != core);
    elsewhere.sort_unstable();
    let found = format!("core {core} (infer) is interrupted by {}", named.join(", "));
    Check::new(ID, WHY, State::Warn, found).fix(format!(
        "for irq in {}; do echo {} | sudo tee /proc/irq/$irq/smp_affinity_list; done",
        irqs.join(" "),
        numbers(&elsewhere)
    ))
}

/// Who asked for the interrupt: a folder of that name lies beside its settings.
fn device_of(host: &Host, irq: &str) -> Option<String> {
    let folder = format!("/proc/irq/{irq}");
    let names = host.names(&folder);
    names
        .into_iter()
        .find(|name| host.path(format!("{folder}/{name}")).is_dir())
}
