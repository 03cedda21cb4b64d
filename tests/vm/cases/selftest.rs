//! Cases that go wrong on purpose: `tests/vm/selftest` checks that the rig sees it.

use crate::case::{Case, Outcome, Skip, Tier};
use crate::guest::write;
use anyhow::bail;
use std::thread::sleep;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("selftest_passes", || Ok(())).tier(Tier::SelfTest),
    Case::new("selftest_fails", || bail!("as it should")).tier(Tier::SelfTest),
    Case::new("selftest_panics", || panic!("as it should")).tier(Tier::SelfTest),
    Case::new("selftest_skips", || Err(Skip("as it should").into())).tier(Tier::SelfTest),
    Case::new("selftest_hangs", hang)
        .tier(Tier::SelfTest)
        .limit_s(2),
    Case::new("selftest_kills_the_guest", kill).tier(Tier::SelfTest),
    Case::new("selftest_halts_the_guest", halt)
        .tier(Tier::SelfTest)
        .limit_s(2),
    Case::new("selftest_is_still_reached", || Ok(())).tier(Tier::SelfTest),
];

fn hang() -> Outcome {
    loop {
        sleep(Duration::from_secs(1));
    }
}

/// A kernel panic.
fn kill() -> Outcome {
    write("/proc/sysrq-trigger", "c")
}

/// A guest in which nothing runs any more: every process but this one is frozen
/// by the real-time class of two endless loops.
fn halt() -> Outcome {
    write("/proc/sys/kernel/sched_rt_runtime_us", "-1")?;
    let parameter = libc::sched_param { sched_priority: 99 };
    // SAFETY: the kernel reads one structure that lives through the call.
    let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
    nix::errno::Errno::result(set)?;
    std::thread::spawn(|| {
        loop {
            std::hint::spin_loop()
        }
    });
    std::thread::spawn(|| {
        loop {
            std::hint::spin_loop()
        }
    });
    loop {
        std::hint::spin_loop();
    }
}
