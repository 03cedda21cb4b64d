//! Signals that would end the process on the spot, made into ones that drain it.
//!
//! Guarantees: after [`forward`], SIGQUIT, SIGALRM, SIGVTALRM, SIGXCPU, SIGUSR1,
//! SIGUSR2 and a SIGABRT from outside arrive as SIGTERM, which the process handles by
//! giving back what it holds. The handler makes one system call and touches nothing.
//!
//! Not guaranteed: anything after SIGKILL, SIGSEGV, SIGBUS, SIGILL, SIGFPE or the
//! process's own `abort`: what it held is then given back by the next start or by
//! `e4 restore`.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

const FORWARDED: [Signal; 7] = [
    Signal::SIGQUIT,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGXCPU,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGABRT,
];

extern "C" fn terminate(_: libc::c_int) {
    // SAFETY: both calls are async-signal-safe and take no pointers; a signal to
    // this very process cannot be refused.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGTERM);
    }
}

/// Makes signals that nobody handles into SIGTERM, from now on. One that is ignored
/// (`nohup`, a shell's background job) stays so.
///
/// # Errors
/// The system's.
pub fn forward() -> nix::Result<()> {
    let handler = SigHandler::Handler(terminate);
    let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
    for signal in FORWARDED {
        // SAFETY: `terminate` is async-signal-safe: it makes two system calls and
        // returns.
        let before = unsafe { sigaction(signal, &action) }?;
        if matches!(before.handler(), SigHandler::SigIgn) {
            // SAFETY: it is what was in force before.
            unsafe { sigaction(signal, &before) }?;
        }
    }
    Ok(())
}
