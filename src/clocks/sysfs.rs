//! Kernel files under a root that can be another than `/`.
//!
//! Guarantees: reading a number and writing one allocate nothing and take one
//! system call each, on descriptors opened beforehand. A [`Knob`] writes only
//! while a guard holds what its file was before. Files of a tree that stands in
//! for the kernel's (plain files) are cut to what was written, which takes a
//! second call there.

use super::guard::Journal;
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A root with `sys/...` and `proc/...` below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: PathBuf,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new("/")
    }
}

impl Tree {
    /// The tree below `root`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root, without links and dots where it exists.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.root
            .canonicalize()
            .unwrap_or_else(|_| self.root.clone())
    }

    /// The path of a file that is named from the root on.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    /// A file's text.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self, file: &str) -> io::Result<String> {
        // A device tree's strings end with a NUL.
        let bytes = std::fs::read(self.path(file))?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_end_matches('\0').to_owned())
    }

    /// A file's number.
    ///
    /// # Errors
    /// The system's, and `InvalidData` where there is no number.
    pub fn number(&self, file: &str) -> io::Result<u64> {
        let text = self.read(file)?;
        number(text.as_bytes()).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    /// Names in a folder, sorted; none where it cannot be read.
    #[must_use]
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Whether there is such a file or folder.
    #[must_use]
    pub fn has(&self, file: &str) -> bool {
        self.path(file).exists()
    }
}

/// The number at the start of a file's text.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let start = text.iter().position(|b| !b.is_ascii_whitespace())?;
    let digits = &text[start..];
    let end = digits
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

/// Calls again what a signal interrupted.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done.map_err(|error| errno(&error)),
        }
    }
}

fn read_number(file: &File) -> Result<u64, Errno> {
    let mut text = [0_u8; 64];
    let length = uninterrupted(|| file.read_at(&mut text, 0))?;
    number(&text[..length]).ok_or(Errno::EINVAL)
}

/// A file that shows a number.
#[derive(Debug)]
pub struct Gauge(File);

impl Gauge {
    /// Opens `file`; `None` where it cannot be read.
    #[must_use]
    pub fn open(tree: &Tree, file: &str) -> Option<Self> {
        let gauge = Self::opened(tree, file).ok()?;
        gauge.read().is_ok().then_some(gauge)
    }

    /// Opens `file`, whatever it holds.
    fn opened(tree: &Tree, file: &str) -> Result<Self, Errno> {
        let file = File::open(tree.path(file)).map_err(|error| errno(&error))?;
        Ok(Self(file))
    }

    /// The number.
    ///
    /// # Errors
    /// The system's; `EINVAL` where the file holds no number.
    pub fn read(&self) -> Result<u64, Errno> {
        read_number(&self.0)
    }
}

/// What a knob is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Lower limit of the clock.
    Min,
    /// Upper limit of the clock.
    Max,
    /// The clock itself.
    Rate,
    /// Takes the clock away from its governor while it is 1.
    Lock,
}

/// Why a write did not come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The kernel said no.
    #[error("{0}")]
    System(Errno),
    /// The point is not one of the domain's table.
    #[error("the clock is not in the domain's table")]
    OffTable,
    /// No guard holds what the file was before.
    #[error("no guard is held")]
    Unguarded,
    /// The guard has given the clocks back already.
    #[error("the clocks have been given back")]
    GivenBack,
}

/// A file that a clock is set by.
#[derive(Debug)]
pub struct Knob {
    role: Role,
    file: String,
    shown: String,
    raw: Result<RawKnob, Errno>,
    gauge: Result<Gauge, Errno>,
    journal: Option<Journal>,
}

impl Knob {
    /// Opens `file`, whose value is read from `shown` (often itself). What cannot
    /// be opened refuses every write with the system's reason.
    #[must_use]
    pub fn open(tree: &Tree, role: Role, file: &str, shown: &str) -> Self {
        Self {
            role,
            file: file.to_owned(),
            shown: shown.to_owned(),
            raw: RawKnob::open(&tree.path(file)),
            gauge: Gauge::opened(tree, shown),
            journal: None,
        }
    }

    /// What it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its file, named from the tree's root on.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The file that shows its value.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The kernel's reason why it cannot be written to, where there is one.
    #[must_use]
    pub fn denied(&self) -> Option<Errno> {
        self.raw.as_ref().err().copied()
    }

    /// Its value.
    ///
    /// # Errors
    /// The system's; `EINVAL` where the file holds no number.
    pub fn read(&self) -> Result<u64, Errno> {
        self.gauge.as_ref().map_err(|&errno| errno)?.read()
    }

    /// At the end its file is to hold `value`, which another process has chosen
    /// since; 0: what it held at first.
    pub(super) fn keep(&mut self, value: u64) {
        if let Some(journal) = &mut self.journal {
            journal.keep(value);
        }
    }

    pub(super) fn arm(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Writes `value`, after the guard knows of it.
    pub(super) fn write(&mut self, value: u64) -> Result<(), Refusal> {
        let raw = self.raw.as_ref().map_err(|&errno| Refusal::System(errno))?;
        let journal = self.journal.as_mut().ok_or(Refusal::Unguarded)?;
        journal.around(value, || raw.write_number(value))
    }
}

/// An opened file that is written to without a guard: by the guard itself.
#[derive(Debug)]
pub(super) struct RawKnob {
    file: File,
    /// Not a kernel's file: what is written does not replace what was there.
    plain: bool,
}

impl RawKnob {
    pub(super) fn open(path: &Path) -> Result<Self, Errno> {
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|error| errno(&error))?;
        let plain = is_plain(path).unwrap_or(false);
        Ok(Self { file, plain })
    }

    fn write_number(&self, value: u64) -> Result<(), Errno> {
        let mut text = [0_u8; 24];
        let mut rest = &mut text[..];
        // 20 digits and a newline fit.
        let _ = writeln!(rest, "{value}");
        let length = 24 - rest.len();
        self.write(&text[..length])
    }

    /// Writes `text` in one call.
    pub(super) fn write(&self, text: &[u8]) -> Result<(), Errno> {
        let written = uninterrupted(|| self.file.write_at(text, 0))?;
        if written != text.len() {
            return Err(Errno::EIO);
        }
        if self.plain {
            uninterrupted(|| self.file.set_len(text.len() as u64))?;
        }
        Ok(())
    }
}

/// A kernel's file does not say how much it holds, a plain one does.
fn is_plain(path: &Path) -> io::Result<bool> {
    let length = std::fs::metadata(path)?.len();
    Ok(length > 0 && std::fs::read(path)?.len() as u64 == length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_kernels_print_them() {
        assert_eq!(number(b"1984000\n"), Some(1_984_000));
        assert_eq!(number(b" 12 MHz"), Some(12));
        for text in [
            &b"<unsupported>"[..],
            b"",
            b"\n",
            b"-5",
            b"99999999999999999999999",
        ] {
            assert_eq!(number(text), None);
        }
    }

    #[test]
    fn a_shorter_number_leaves_nothing_of_a_longer_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rate");
        std::fs::write(&path, "1984000000\n").unwrap();
        let knob = RawKnob::open(&path).unwrap();
        knob.write_number(76_800_000).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "76800000\n");
    }

    #[test]
    fn a_knob_without_a_guard_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("max"), "5\n").unwrap();
        let tree = Tree::new(folder.path());
        let mut knob = Knob::open(&tree, Role::Max, "max", "max");
        assert_eq!(knob.write(4), Err(Refusal::Unguarded));
        assert_eq!(knob.read(), Ok(5));
        let mut absent = Knob::open(&tree, Role::Max, "none", "none");
        assert_eq!(absent.write(4), Err(Refusal::System(Errno::ENOENT)));
    }
}
