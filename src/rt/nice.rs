//! A thread that gives way to the others.

use std::io;

/// Lowers the calling thread's share of its core: `nice` is from 0 (as the others)
/// to 19 (last).
///
/// # Errors
/// The kernel's; it refuses a lower share to nobody.
pub fn give_way(nice: u8) -> io::Result<()> {
    // SAFETY: setpriority takes integers and touches no memory of ours; on Linux 0
    // is the calling thread.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, libc::c_int::from(nice)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_way_alone() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let (_, rest) = stat.rsplit_once(')').unwrap();
            rest.split_whitespace().nth(16).unwrap().to_owned()
        };
        let before = nice();
        let lowered = std::thread::spawn(move || {
            give_way(15).unwrap();
            nice()
        });
        assert_eq!(lowered.join().unwrap(), "15");
        assert_eq!(nice(), before);
    }
}
