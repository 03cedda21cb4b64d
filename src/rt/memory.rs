//! Memory that is there when it is needed: page faults counted, pages locked,
//! stack and heap touched in advance.
//!
//! Guarantees: after [`lock_all`] no page of the process, mapped then or later,
//! leaves memory; after [`keep_heap`] the heap gives nothing back to the kernel,
//! so that what [`touch_heap`] has touched stays mapped for the allocations of
//! the same thread. Not guaranteed: the latter two with an allocator other than
//! glibc's, where [`keep_heap`] does nothing.
//!
//! Cost: at start, a page fault for each page; resident memory, for good.

use super::capability::Capability;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use std::hint::black_box;

/// Stack that [`touch_stack`] maps: half of what Rust gives a thread.
const STACK: usize = 1 << 20;
/// The smallest page there is.
const PAGE: usize = 4096;

/// Page faults of the calling thread so far, minor and major.
///
/// # Errors
/// When the kernel cannot say.
pub fn page_faults() -> Result<u64, MemoryError> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(MemoryError::Usage)?;
    let faults = usage.minor_page_faults() + usage.major_page_faults();
    Ok(u64::try_from(faults).unwrap_or(0))
}

/// Keeps every page of the process, present and future, in memory. A kernel that
/// pages out what it thinks cold would otherwise make a stage that runs rarely
/// fault.
///
/// # Errors
/// Without CAP_IPC_LOCK or an unlimited memlock limit: under a finite one some
/// later allocation would fail.
pub fn lock_all() -> Result<(), MemoryError> {
    let (limit, _) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(MemoryError::Lock)?;
    if limit != libc::RLIM_INFINITY && Capability::IpcLock.held() == Some(false) {
        return Err(MemoryError::Lock(nix::Error::EPERM));
    }
    mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).map_err(MemoryError::Lock)
}

/// Maps the next MiB of the calling thread's stack, so that the frames to come
/// fault on none of it.
#[inline(never)]
pub fn touch_stack() {
    let mut stack = [0_u8; STACK];
    black_box(&mut stack);
}

/// Makes the heap keep what it has: it neither gives memory back to the kernel
/// nor maps large blocks apart from the rest, to be faulted in anew each time.
pub fn keep_heap() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: mallopt takes integers, at any time; it touches no memory of ours.
        let kept = unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, -1) & libc::mallopt(libc::M_MMAP_MAX, 0)
        };
        debug_assert_eq!(kept, 1, "glibc knows both options");
    }
}

/// Maps `bytes` of heap for the calling thread's allocations to come; of use
/// after [`keep_heap`].
pub fn touch_heap(bytes: usize) {
    let mut block: Vec<u8> = Vec::with_capacity(bytes);
    for page in block.spare_capacity_mut().chunks_mut(PAGE) {
        page[0].write(0);
    }
    black_box(&mut block);
}

/// Why the kernel did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// No resource usage.
    #[error("page faults of this thread cannot be counted: {0}")]
    Usage(nix::Error),
    /// No locked memory.
    #[error(
        "memory cannot be locked ({0}): it needs CAP_IPC_LOCK or an unlimited memlock limit; run as root, `setcap cap_ipc_lock+ep` the binary, `ulimit -l unlimited`, or set pipeline.lock_memory = false"
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

    /// What an engine does for a frame: small and large blocks, all given back.
    #[cfg(target_env = "gnu")]
    #[test]
    fn allocations_from_a_touched_heap_do_not_fault() {
        keep_heap();
        std::thread::spawn(|| {
            touch_heap(8 << 20);
            let frame = || {
                let large = black_box(vec![1_u8; 2 << 20]);
                let small: Vec<Vec<u8>> = (0..64).map(|_| vec![1; 16 << 10]).collect();
                black_box((large, small));
            };
            let faults = || {
                let before = page_faults().unwrap();
                frame();
                frame();
                page_faults().unwrap() - before
            };
            // Memory that is not locked may be paged out by the kernel meanwhile; what
            // the heap itself makes fault does so each time.
            let each: Vec<u64> = (0..5).map(|_| faults()).collect();
            assert!(each.contains(&0), "{each:?}");
        })
        .join()
        .unwrap();
    }
}
