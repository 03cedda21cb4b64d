//! Why clocks cannot be held or given back.

use super::super::domain::SaveError;
use std::io;
use std::path::PathBuf;

/// Why clocks cannot be held or given back; one sentence.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The runtime directory cannot be used.
    #[error("the runtime directory {path} cannot be used ({source}); run as root or name another with --runtime-dir", path = path.display())]
    RuntimeDir {
        /// The directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A guard file cannot be written or removed.
    #[error("the guard file {path} cannot be kept ({source}), so no clock is touched; name another directory with --runtime-dir", path = path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Another e4 holds the domain.
    #[error("the clocks of {domain} are held by another e4{}; end that one first", who(.pid))]
    Busy {
        /// The domain.
        domain: String,
        /// Its process, as far as its guard says.
        pid: Option<u32>,
    },
    /// A killed e4 has left its guard.
    #[error("{path} is left from an e4 that was killed; `e4 restore` gives its clocks back", path = path.display())]
    Stale {
        /// The guard file.
        path: PathBuf,
    },
    /// The guard does not say what it should.
    #[error("the guard file {path} is damaged ({reason}) and its clocks cannot be given back from it; set them by hand or restart the machine, then delete it", path = path.display())]
    Damaged {
        /// The guard file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A value cannot be kept.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The kernel does not say which boot this is.
    #[error("/proc/sys/kernel/random/boot_id: {0}")]
    BootId(io::Error),
}

fn who(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}
