//! The capabilities that real time needs, as the kernel lists them.
//!
//! Guarantees: what `/proc` says of the effective set. Not guaranteed: that the
//! kernel grants what a capability stands for; cgroups and seccomp filters may
//! still say no.
//!
//! Cost: one small file read a question.

/// A right that root has, and that may be given to others one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_IPC_LOCK`: lock any amount of memory.
    IpcLock,
    /// `CAP_SYS_NICE`: any scheduling class and priority.
    SysNice,
}

impl Capability {
    /// Its name in messages and in `capabilities(7)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpcLock => "CAP_IPC_LOCK",
            Self::SysNice => "CAP_SYS_NICE",
        }
    }

    /// Its number in `linux/capability.h`.
    const fn bit(self) -> u32 {
        match self {
            Self::IpcLock => 14,
            Self::SysNice => 23,
        }
    }

    /// Whether the `CapEff` line of a `/proc/PID/status` has it; `None` where
    /// there is no such line.
    #[must_use]
    pub fn held_in(self, status: &str) -> Option<bool> {
        self.is_in("CapEff:", status)
    }

    /// Whether a program with it as a file capability, or root, would have it: the
    /// `CapBnd` line. `None` where there is no such line.
    #[must_use]
    pub fn attainable_in(self, status: &str) -> Option<bool> {
        self.is_in("CapBnd:", status)
    }

    fn is_in(self, set: &str, status: &str) -> Option<bool> {
        let line = status.lines().find_map(|line| line.strip_prefix(set))?;
        let set = u64::from_str_radix(line.trim(), 16).ok()?;
        Some(set >> self.bit() & 1 == 1)
    }

    /// Whether the calling thread has it; `None` where `/proc` does not say.
    #[must_use]
    pub fn held(self) -> Option<bool> {
        self.held_in(&std::fs::read_to_string("/proc/thread-self/status").ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_read_bit_by_bit() {
        let status = "Name:\te4\nCapPrm:\t0\nCapEff:\t0000000000804000\n";
        assert_eq!(Capability::SysNice.held_in(status), Some(true));
        assert_eq!(Capability::IpcLock.held_in(status), Some(true));
        let status = "CapEff:\t0000000000004000\n";
        assert_eq!(Capability::SysNice.held_in(status), Some(false));
        assert_eq!(Capability::SysNice.held_in("CapEff:\tzz"), None);
        assert_eq!(Capability::SysNice.held_in(""), None);
        assert!(Capability::SysNice.held().is_some());
    }
}
