//! Memory that is there when it is needed: page faults counted, pages locked,
//! stacks touched in advance.

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{UsageWho, getrusage};
use std::hint::black_box;

/// Stack that [`touch_stack`] maps: half of what Rust gives a thread.
const STACK: usize = 1 << 20;

/// Page faults of the calling thread so far, minor and major.
///
/// # Errors
/// When the kernel cannot say.
pub fn page_faults() -> Result<u64, MemoryError> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(MemoryError::Usage)?;
    let faults = usage.minor_page_faults() + usage.major_page_faults();
    Ok(u64::try_from(faults).unwrap_or(0))
}

/// Keeps every page of the process, present and future, in memory.
///
/// # Errors
/// Without CAP_IPC_LOCK or a sufficient memlock limit.
pub fn lock_all() -> Result<(), MemoryError> {
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(MemoryError::Lock)
}

/// Maps the next MiB of the calling thread's stack, so that the frames to come
/// fault on none of it.
#[inline(never)]
pub fn touch_stack() {
    let mut stack = [0_u8; STACK];
    black_box(&mut stack);
}

/// Why the kernel did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// No resource usage.
    #[error("page faults of this thread cannot be counted: {0}")]
    Usage(nix::Error),
    /// No locked memory.
    #[error(
        "memory cannot be locked ({0}): it needs CAP_IPC_LOCK or a higher memlock limit (`ulimit -l`)"
    )]
    Lock(nix::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_touched_stack_does_not_fault_again() {
        std::thread::spawn(|| {
            touch_stack();
            touch_stack();
            let before = page_faults().unwrap();
            touch_stack();
            assert_eq!(page_faults().unwrap(), before);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn fresh_memory_is_seen_as_faults() {
        let before = page_faults().unwrap();
        let memory = black_box(vec![1_u8; 64 << 20]);
        assert!(page_faults().unwrap() > before);
        drop(memory);
    }
}
