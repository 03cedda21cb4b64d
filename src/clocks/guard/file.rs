//! The guard file, `e4.guard/1`: a JSON line and its SHA-256, filled up to a
//! multiple of 64 bytes; then one line of 64 bytes for each file, with the value
//! that our last write left there, the one that was being written, and the one that
//! another process chose in between and is to find again (0: none; a line of two
//! values has no such).
//! A line lies in one page, so a killed process leaves the old line or the new.

use super::super::domain::DomainKind;
use super::super::khz::Unit;
use super::super::sysfs::{Knob, Role, Tree};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Name and version of the format.
const SCHEMA: &str = "e4.guard/1";
/// Bytes of a file's line.
pub(super) const RECORD: usize = 64;

/// What one file held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// What the file is for.
    pub role: Role,
    /// The file, from the tree's root on.
    pub file: String,
    /// The file that shows its value.
    pub shown: String,
    /// Its value when the guard was made.
    pub saved: u64,
    /// The value that it is to have again.
    pub give_back: u64,
    /// The text that gives it that value.
    pub text: String,
}

impl Saved {
    /// What `knob` holds, and what it is to be given back.
    #[must_use]
    pub fn new(knob: &Knob, saved: u64, give_back: u64) -> Self {
        Self {
            role: knob.role(),
            file: knob.file().to_owned(),
            shown: knob.shown().to_owned(),
            saved,
            give_back,
            text: format!("{give_back}\n"),
        }
    }

    /// Keeps the very text, where that is what is given back.
    pub(super) fn keep_text(&mut self, tree: &Tree) {
        if self.file != self.shown || self.saved != self.give_back {
            return;
        }
        let text = tree.read(&self.file).unwrap_or_default();
        if text.trim() == self.give_back.to_string() {
            self.text = text;
        }
    }

    /// Whether two values of this file name the same.
    pub(super) fn same(&self, kind: DomainKind, a: u64, b: u64) -> bool {
        match (self.role, kind) {
            (Role::Lock, _) => a == b,
            (_, DomainKind::Cpu) => Unit::Khz.same(a, b),
            _ => Unit::Hz.same(a, b),
        }
    }
}

/// The governor that was in charge; e4 leaves it there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OldGovernor {
    pub file: String,
    pub saved: String,
}

/// The part of a guard that does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    pub schema: String,
    pub boot_id: String,
    pub pid: u32,
    pub sysfs_root: PathBuf,
    pub domain: String,
    pub kind: DomainKind,
    pub folder: String,
    pub governor: Option<OldGovernor>,
    pub files: Vec<Saved>,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            boot_id: String::new(),
            pid: 0,
            sysfs_root: PathBuf::new(),
            domain: String::new(),
            kind: DomainKind::Cpu,
            folder: String::new(),
            governor: None,
            files: Vec::new(),
        }
    }
}

/// Values of one file: what our last write left, and what was being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub holds: u64,
    pub next: u64,
    pub kept: u64,
}

impl Record {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// A file's line. Allocates nothing.
pub(super) fn record(holds: u64, next: u64, kept: u64) -> [u8; RECORD] {
    let mut line = [b' '; RECORD];
    // Three times 20 digits and two blanks fit.
    let _ = write!(&mut line[..], "{holds:>20} {next:>20} {kept:>20}");
    line[RECORD - 1] = b'\n';
    line
}

fn parse_record(line: &[u8]) -> Option<Record> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut words = text.split_whitespace().map(str::parse);
    let (Some(Ok(holds)), Some(Ok(next))) = (words.next(), words.next()) else {
        return None;
    };
    let kept = words.next().unwrap_or(Ok(0)).ok()?;
    let record = Record { holds, next, kept };
    words.next().is_none().then_some(record)
}

impl Head {
    fn text(&self) -> String {
        // Strings and numbers always have a JSON form.
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut text = format!("{json}\nsha256 {}", digest(&json));
        let end = (text.len() + 1).next_multiple_of(RECORD);
        let _ = writeln!(text, "{:1$}", "", end - text.len() - 1);
        text
    }

    /// The whole file, with nothing written yet.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.text().into_bytes();
        for _ in &self.files {
            bytes.extend(record(0, 0, 0));
        }
        bytes
    }

    /// Where the line of the file with this index begins.
    pub(super) fn record_offset(&self, index: usize) -> u64 {
        (self.text().len() + index * RECORD) as u64
    }
}

/// Reads a guard; the error says what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<(Head, Vec<Record>), String> {
    let mut lines = bytes.splitn(3, |&b| b == b'\n');
    let (Some(json), Some(sum), Some(rest)) = (lines.next(), lines.next(), lines.next()) else {
        return Err("it is cut off".into());
    };
    let json = std::str::from_utf8(json).map_err(|_| "it is not text")?;
    let sum = std::str::from_utf8(sum).map_err(|_| "it is not text")?;
    if sum.trim_end().strip_prefix("sha256 ") != Some(&digest(json)) {
        return Err("its checksum does not fit".into());
    }
    let head: Head = serde_json::from_str(json).map_err(|error| error.to_string())?;
    if head.schema != SCHEMA {
        return Err(format!("it is {}, not {SCHEMA}", head.schema));
    }
    super::legal::check(&head)?;
    let records: Option<Vec<Record>> = rest.chunks(RECORD).map(parse_record).collect();
    match records {
        Some(records) if records.len() == head.files.len() => Ok((head, records)),
        _ => Err("it is cut off".into()),
    }
}

/// The lines of a guard that this process holds.
pub(super) fn records(file: &File, head: &Head) -> Vec<Record> {
    (0..head.files.len())
        .map(|index| {
            let mut line = [0; RECORD];
            let read = file.read_exact_at(&mut line, head.record_offset(index));
            let record = read.ok().and_then(|()| parse_record(&line));
            // What cannot be read back counts as written.
            record.unwrap_or(Record {
                holds: 1,
                next: 1,
                kept: 0,
            })
        })
        .collect()
}

fn digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
