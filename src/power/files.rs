//! Files of sysfs below a root that may be another than `/`.
//!
//! Guarantees: once a [`Source`] is open, reading it is two system calls on its
//! descriptor and allocates nothing. A file that has been deleted from a tree that
//! stands in for the kernel's is seen as gone.

use super::error::Fault;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A folder with `sys/...` and `proc/...` below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self::new("/")
    }
}

impl Root {
    /// The tree below `folder`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Path of a file that is named from the root on.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// A file's text without white space and NULs around it, where it can be read.
    pub(super) fn text(&self, file: &str) -> Option<String> {
        let bytes = std::fs::read(self.path(file)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(['\0', ' ', '\n', '\t']).to_owned())
    }

    /// A file's number, where it has one.
    pub(super) fn number(&self, file: &str) -> Option<i64> {
        self.text(file)?.parse().ok()
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }

    /// Names in a folder, shorter ones first so that 10 follows 9; none where it
    /// cannot be read.
    pub(super) fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        names
    }
}

/// An open file that shows a number.
#[derive(Debug)]
pub(super) struct Source(File);

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        File::open(path).map(Self).map_err(|error| fault(&error))
    }

    /// The number.
    pub(super) fn read(&self) -> Result<i64, Fault> {
        let mut text = [0_u8; 32];
        let length = loop {
            match self.0.read_at(&mut text, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|error| fault(&error))?,
            }
        };
        if fstat(&self.0).is_ok_and(|stat| stat.st_nlink == 0) {
            return Err(Fault::Gone);
        }
        number(&text[..length]).ok_or(Fault::NotANumber)
    }
}

fn fault(error: &io::Error) -> Fault {
    match error.raw_os_error().map_or(Errno::EIO, Errno::from_raw) {
        Errno::ENOENT | Errno::ENODEV => Fault::Gone,
        errno => Fault::System(errno),
    }
}

/// The one whole number of a file's text.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_and_alone() {
        assert_eq!(number(b"12000\n"), Some(12_000));
        assert_eq!(number(b"-8\n"), Some(-8));
        for text in [
            &b""[..],
            b"\n",
            b"N/A",
            b"12.5",
            b"1 2",
            b"\xff",
            b"99999999999999999999",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_file_that_is_deleted_is_gone_and_not_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("power1_input");
        std::fs::write(&path, "5000000\n").unwrap();
        let source = Source::open(&path).unwrap();
        assert_eq!(source.read(), Ok(5_000_000));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(source.read(), Err(Fault::Gone));
        assert_eq!(Source::open(&path).unwrap_err(), Fault::Gone);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source::open(folder.path()).unwrap();
        assert_eq!(source.read(), Err(Fault::System(Errno::EISDIR)));
    }
}
