//! A file of a bundle, mapped read-only.
//!
//! Guarantees: what was opened is a regular file, no link was followed at its
//! last path component, and [`MappedFile::bytes`] shows the very file whose
//! checksum was taken, even if the name is given to another file later.
//!
//! It does not guard against a process that writes into the mapped file: the
//! bytes change under the map, and a file cut short raises `SIGBUS` on access,
//! as with every map. Replace a bundle's files by renaming, never in place.

use memmap2::Mmap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Largest file that a bundle may hold.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;

/// One mapped file.
#[derive(Debug)]
pub(super) struct MappedFile {
    map: Arc<Mmap>,
}

impl MappedFile {
    /// Opens and maps `path`; costs no read until the bytes are looked at.
    ///
    /// # Errors
    /// When it cannot be opened or mapped, is not a regular file or is larger
    /// than [`MAX_FILE_BYTES`].
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ELOOP) => io::Error::other("it is a link, not a regular file"),
                _ => error,
            })?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if meta.len() > MAX_FILE_BYTES {
            return Err(io::Error::other(format!(
                "it holds {} bytes, more than the {MAX_FILE_BYTES} allowed",
                meta.len()
            )));
        }
        // SAFETY: the map is never written and handed out as `&[u8]` for its
        // own lifetime only. That nobody truncates or writes the file
        // meanwhile is the module's stated condition.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map: Arc::new(map) })
    }

    /// The map itself, for an owner that outlives the bundle.
    pub(super) fn share(&self) -> Arc<Mmap> {
        Arc::clone(&self.map)
    }

    /// The file's content.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }
}
