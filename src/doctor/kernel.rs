//! The kernel itself: how soon it lets go of a core, and what it tells the time by.

use super::{Check, State, Subject};

/// Which preemption model is in effect.
pub(super) fn preemption(subject: &Subject<'_>) -> Check {
    const ID: &str = "preemption";
    const WHY: &str = "until the kernel can be preempted, a thread that is due waits for whatever the kernel does: up to milliseconds without preemption, below 100 us with PREEMPT_RT as a rule";
    const SWITCH: &str = "mountpoint -q /sys/kernel/debug || sudo mount -t debugfs debugfs /sys/kernel/debug; echo full | sudo tee /sys/kernel/debug/sched/preempt";
    const RT_KERNEL: &str = "sudo apt install linux-image-rt-$(dpkg --print-architecture) && sudo reboot # Debian; on a Jetson: nvidia-l4t-rt-kernel";
    let host = &subject.host;
    let row = |state, found: &str| Check::new(ID, WHY, state, found);
    let version = host.read("/proc/version").unwrap_or_default();
    if host.read("/sys/kernel/realtime").as_deref() == Some("1") || version.contains("PREEMPT_RT") {
        return row(State::Ok, "PREEMPT_RT");
    }
    if version.contains("PREEMPT_DYNAMIC") {
        return match in_effect(subject) {
            Some(model) if model == "full" => row(State::Ok, "PREEMPT_DYNAMIC, full"),
            Some(model) => row(State::Warn, &format!("PREEMPT_DYNAMIC, {model}")).fix(SWITCH),
            None => row(
                State::Warn,
                "PREEMPT_DYNAMIC; which model is in effect is for root to read, in debugfs",
            )
            .fix(SWITCH),
        };
    }
    if version.is_empty() {
        return row(State::NotApplicable, "the kernel does not say");
    }
    // A kernel without preemption, or with the voluntary kind, names none.
    let preempts = version.split_whitespace().any(|word| word == "PREEMPT");
    match preempts {
        true => row(State::Ok, "PREEMPT"),
        false => row(State::Warn, "none, or voluntary").fix(RT_KERNEL),
    }
}

/// The model that was chosen: last at run time, first on the command line.
fn in_effect(subject: &Subject<'_>) -> Option<String> {
    // The word in parentheses: `none voluntary (full)`.
    if let Some(models) = subject.host.read("/sys/kernel/debug/sched/preempt") {
        let (_, rest) = models.split_once('(')?;
        return Some(rest.split_once(')')?.0.to_owned());
    }
    let arguments = subject.host.read("/proc/cmdline")?;
    let mut models = arguments.split_whitespace().rev();
    models.find_map(|argument| Some(argument.strip_prefix("preempt=")?.to_owned()))
}

/// What the kernel tells the time by.
pub(super) fn clocksource(subject: &Subject<'_>) -> Check {
    const ID: &str = "clocksource";
    const WHY: &str = "every hand-off reads the clock; from user space that takes 25 ns, through a system call and a device a microsecond or more";
    const FOLDER: &str = "/sys/devices/system/clocksource/clocksource0";
    /// Those that are read without leaving user space.
    const FAST: &[&str] = &[
        "tsc",
        "arch_sys_counter",
        "kvm-clock",
        "hyperv_clocksource_tsc_page",
    ];
    let read = |name: &str| subject.host.read(format!("{FOLDER}/{name}"));
    let Some(current) = read("current_clocksource") else {
        return Check::new(ID, WHY, State::NotApplicable, "the kernel does not say");
    };
    if FAST.contains(&current.as_str()) {
        return Check::new(ID, WHY, State::Ok, current);
    }
    let available = read("available_clocksource").unwrap_or_default();
    let better = FAST
        .iter()
        .find(|fast| available.split_whitespace().any(|a| a == **fast));
    let found = format!("{current} (available: {available})");
    let check = Check::new(ID, WHY, State::Warn, found);
    match better {
        Some(better) => check.fix(format!(
            "echo {better} | sudo tee {FOLDER}/current_clocksource"
        )),
        // The kernel has found the fast one unfit; that it is wrong can only be claimed.
        None => check.fix(subject.host.kernel_argument("tsc=reliable")),
    }
}
