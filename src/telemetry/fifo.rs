//! Named pipes that are written to.
//!
//! Guarantees: opening one never waits in the kernel for a reader, so that a run
//! can be told to end meanwhile; writing to it then waits as it does for any pipe.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Whether `path` names a pipe.
pub(super) fn is_fifo(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// Opens `path` as `options` say; `None` is a pipe that nobody reads yet.
pub(super) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Option<File>> {
    let unread = |error: &io::Error| error.raw_os_error() == Some(Errno::ENXIO as i32);
    match options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path) {
        Ok(file) => {
            let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
            fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
            Ok(Some(file))
        }
        Err(error) if unread(&error) && is_fifo(path) => Ok(None),
        Err(error) => Err(error),
    }
}
