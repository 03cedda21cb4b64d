//! Whether frames fit the memory that is free.
//!
//! Guarantees: a refusal comes before anything is allocated. Not guaranteed: that
//! the memory is still free when it is used, nor anything on a system that does
//! not tell. Cost: a few small file reads.

use std::fs;

/// A pool of frames beyond the memory that is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{slots} slots of {} MiB a frame do not fit the {} MiB of memory that are free: lower --slots or the frame size",
    bytes_each.div_ceil(1 << 20),
    free >> 20
)]
pub struct TooLarge {
    /// Frames that were asked for.
    pub slots: usize,
    /// Bytes of each.
    pub bytes_each: usize,
    /// Bytes that are free.
    pub free: u64,
}

/// Refuses a pool of `slots` frames of `bytes_each` bytes, `more` bytes beside
/// it, that is larger than the memory that is free.
///
/// # Errors
/// [`TooLarge`], with the numbers in it.
pub fn fits(slots: usize, bytes_each: usize, more: usize) -> Result<(), TooLarge> {
    fits_in(free_bytes().unwrap_or(u64::MAX), slots, bytes_each, more)
}

fn fits_in(free: u64, slots: usize, bytes_each: usize, more: usize) -> Result<(), TooLarge> {
    let needed = slots
        .checked_mul(bytes_each)
        .and_then(|n| n.checked_add(more));
    match needed.and_then(|needed| u64::try_from(needed).ok()) {
        Some(needed) if needed <= free => Ok(()),
        _ => Err(TooLarge {
            slots,
            bytes_each,
            free,
        }),
    }
}

/// What the machine, and the control group of this process, have free.
fn free_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| number_after(&text, "MemAvailable:"));
    let machine = machine.map(|kib| kib.saturating_mul(1024));
    [machine, free_of_group()].into_iter().flatten().min()
}

/// What the limit of the control group leaves, where there is one.
fn free_of_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let read = |file: &str| fs::read_to_string(format!("/sys/fs/cgroup{group}/{file}")).ok();
    let most: u64 = read("memory.max")?.trim().parse().ok()?;
    let used: u64 = read("memory.current")?.trim().parse().ok()?;
    let given_up = read("memory.stat").and_then(|text| number_after(&text, "inactive_file"));
    Some(most.saturating_sub(used.saturating_sub(given_up.unwrap_or(0))))
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_also_where_the_product_overflows() {
        assert!(fits_in(1000, 10, 90, 100).is_ok());
        assert!(fits_in(1000, 10, 90, 101).is_err());
        assert!(fits_in(u64::MAX, usize::MAX, 2, 0).is_err());
        let error = fits_in(5 << 20, 64, 3 << 20, 0).unwrap_err().to_string();
        assert_eq!(
            error,
            "64 slots of 3 MiB a frame do not fit the 5 MiB of memory that are free: lower --slots or the frame size"
        );
    }

    #[test]
    fn this_machine_tells_what_it_has_free() {
        assert!(free_bytes().is_some_and(|free| free > 1 << 20));
        assert!(fits(64, usize::MAX / 64, 0).is_err());
        assert!(fits(2, 4096, 0).is_ok());
    }

    #[test]
    fn the_number_behind_a_name_is_read() {
        let text = "MemTotal:  9 kB\nMemAvailable:     5461148 kB\n";
        assert_eq!(number_after(text, "MemAvailable:"), Some(5_461_148));
        assert_eq!(number_after(text, "SwapFree:"), None);
    }
}
