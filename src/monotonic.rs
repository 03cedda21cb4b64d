//! Time on `CLOCK_MONOTONIC`, in nanoseconds: the clock the kernel stamps
//! camera frames with. A read costs about 25 ns (vDSO).

use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use std::time::Duration;

/// Nanoseconds since an arbitrary point that only moves forward.
#[must_use]
pub fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000
            + u64::try_from(t.tv_nsec()).unwrap_or(0)
    })
}

/// Sleeps until `until_ns` of [`now_ns`], through signals.
pub fn sleep_until(until_ns: u64) {
    let until = Duration::from_nanos(until_ns).into();
    while now_ns() < until_ns {
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        // An interrupted sleep is taken up again by the loop.
        let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &until);
    }
}
