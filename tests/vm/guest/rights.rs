//! Programs that run with less than root's rights.

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{Gid, Pid, Uid, setgid, setgroups, setuid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What a program is left with.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    /// Whether it runs as root, with the capabilities that are not taken away, or
    /// as nobody in particular.
    pub root: bool,
    /// `CAP_SYS_NICE`, or the rtprio limit of a user.
    pub real_time: bool,
    /// `CAP_IPC_LOCK`, or the memlock limit of a user.
    pub lock_memory: bool,
    /// Both cores, or the first alone.
    pub both_cores: bool,
}

/// Everything, as root.
pub const ROOT: Rights = Rights {
    root: true,
    real_time: true,
    lock_memory: true,
    both_cores: true,
};
/// Everything that a user can be given.
pub const USER: Rights = Rights {
    root: false,
    ..ROOT
};

const CAP_IPC_LOCK: libc::c_ulong = 14;
const CAP_SYS_NICE: libc::c_ulong = 23;

impl Rights {
    /// Lets `command` run with these rights.
    pub fn apply(self, command: &mut Command) -> &mut Command {
        // SAFETY: between fork and exec, `enter` makes system calls and nothing else.
        unsafe { command.pre_exec(move || self.enter()) }
    }

    fn enter(self) -> io::Result<()> {
        limit(Resource::RLIMIT_RTPRIO, CAP_SYS_NICE, self.real_time, 99)?;
        let all = RLIM_INFINITY;
        limit(
            Resource::RLIMIT_MEMLOCK,
            CAP_IPC_LOCK,
            self.lock_memory,
            all,
        )?;
        if !self.both_cores {
            let mut first = CpuSet::new();
            first.set(0)?;
            sched_setaffinity(Pid::from_raw(0), &first)?;
        }
        if !self.root {
            const NOBODY: u32 = 65_534;
            setgroups(&[])?;
            setgid(Gid::from_raw(NOBODY))?;
            setuid(Uid::from_raw(NOBODY))?;
        }
        Ok(())
    }
}

/// Sets a limit, and takes away the capability that overrides it.
fn limit(resource: Resource, capability: libc::c_ulong, given: bool, most: u64) -> io::Result<()> {
    if given {
        return Ok(setrlimit(resource, most, most)?);
    }
    setrlimit(resource, 0, 0)?;
    // SAFETY: this prctl takes an integer and touches no memory.
    match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
