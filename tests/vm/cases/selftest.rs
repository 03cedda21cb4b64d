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
    Case::new("selftest_stops_the_runner", stop)
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

/// The process that watches the cases stands still: only the host can notice.
fn stop() -> Outcome {
    let runner = nix::unistd::getppid();
    nix::sys::signal::kill(runner, nix::sys::signal::Signal::SIGSTOP)?;
    Ok(())
}
