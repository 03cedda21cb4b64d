//! What a profile has measured so far, kept beside its output so that a run that was
//! killed goes on.
//!
//! Guarantees: a line is on the disk before the next point is begun; a line that a kill
//! cut short is dropped; a file of other settings is refused by the name of the first
//! that differs. JSON lines: the settings, then one line a point.

use super::point::Measured;
use crate::plan::ClockPoint;
use crate::plan::cost::{Cost, Idle, Row, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name and version.
const SCHEMA: &str = "e4.profile-progress/1";

/// Why progress cannot be kept or taken up. One sentence.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// The file system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is of another profile.
    #[error(
        "{path} is of a profile with {name} = {found}, this one has {wanted}; delete it, or ask for the same", path = path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        name: String,
        /// In the file.
        found: String,
        /// Here.
        wanted: String,
    },
    /// It is none at all.
    #[error("{path} is no progress of a profile: {reason}; delete it", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A point that was probed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// The clocks.
    pub point: ClockPoint,
    /// Latency mean and spread, energy mean and spread (s, J), samples; one a segment.
    rows: Vec<(f64, f64, f64, f64, u32)>,
    /// Power at rest and how far it can be off, W.
    idle: (f64, f64),
    /// Where the numbers come from.
    source: Source,
    /// Energy that measuring took, J.
    pub spent_j: f64,
    /// Time that measuring took, s.
    pub seconds: f64,
    /// What is not as it should be.
    pub notes: Vec<String>,
}

impl Probe {
    /// Of a point that was measured in `seconds`.
    #[must_use]
    pub fn new(point: ClockPoint, measured: Measured, seconds: f64) -> Self {
        let row = |r: &Row| {
            let (l, e) = (r.latency_s, r.energy_j);
            (l.mean, l.spread, e.mean, e.spread, r.samples)
        };
        let source = measured.rows.first().map_or(Source::Measured, |r| r.source);
        Self {
            point,
            rows: measured.rows.iter().map(row).collect(),
            idle: (measured.idle.watts, measured.idle.error_w),
            source,
            spent_j: measured.spent_j,
            seconds,
            notes: measured.notes,
        }
    }

    /// One row a segment.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let cost = |mean, spread| Cost { mean, spread };
        (0..)
            .zip(&self.rows)
            .map(move |(segment, &(l, ls, e, es, samples))| Row {
                segment,
                point: self.point,
                latency_s: cost(l, ls),
                energy_j: cost(e, es),
                samples,
                source: self.source,
            })
    }

    /// The board at rest.
    #[must_use]
    pub fn idle(&self) -> Idle {
        Idle::at(self.point, self.idle.0, self.idle.1)
    }

    fn is_sound(&self, segments: usize) -> bool {
        let fine = |x: f64| x.is_finite() && x > 0.0;
        self.rows.len() == segments && self.rows.iter().all(|r| fine(r.0) && fine(r.2) && r.4 > 0)
    }
}

/// The open file; without one nothing is kept.
#[derive(Debug, Default)]
pub struct Progress {
    path: PathBuf,
    file: Option<File>,
}

impl Progress {
    /// The file beside `out`.
    #[must_use]
    pub fn beside(out: &Path) -> PathBuf {
        let mut path = out.as_os_str().to_owned();
        path.push(".progress");
        path.into()
    }

    /// Opens the progress of a profile with these settings; what it has measured so far
    /// comes with it.
    ///
    /// # Errors
    /// When the file is of other settings or cannot be used.
    pub fn open(
        path: PathBuf,
        settings: &Map<String, Value>,
        segments: usize,
    ) -> Result<(Self, Vec<Probe>), ProgressError> {
        let at = |source| ProgressError::Io {
            path: path.clone(),
            source,
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(at(error)),
        };
        // A line without its end was cut short.
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let mut lines = bytes[..whole].split(|b| *b == b'\n');
        let mut probes = Vec::new();
        if whole > 0 {
            same(&path, lines.next().unwrap_or_default(), settings)?;
            for line in lines.filter(|line| !line.is_empty()) {
                let probe: Option<Probe> = serde_json::from_slice(line).ok();
                let probe = probe.filter(|probe| probe.is_sound(segments));
                probes.push(probe.ok_or_else(|| ProgressError::Foreign {
                    path: path.clone(),
                    reason: format!("point {} cannot be read", probes.len() + 1),
                })?);
            }
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(at)?;
        file.set_len(whole as u64).map_err(at)?;
        let mut progress = Self {
            path: path.clone(),
            file: Some(file),
        };
        if whole == 0 {
            let head = serde_json::json!({ "schema": SCHEMA, "settings": settings });
            progress.line(&head.to_string())?;
        }
        Ok((progress, probes))
    }

    /// Keeps a point.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&mut self, probe: &Probe) -> Result<(), ProgressError> {
        let text = serde_json::to_string(probe);
        let text = text.map_err(|error| self.io(error.into()))?;
        self.line(&text)
    }

    /// Nothing is left to go on with.
    ///
    /// # Errors
    /// The system's.
    pub fn done(self) -> Result<(), ProgressError> {
        match self.file {
            Some(_) => std::fs::remove_file(&self.path).map_err(|error| self.io(error)),
            None => Ok(()),
        }
    }

    fn line(&mut self, text: &str) -> Result<(), ProgressError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let written = io::Seek::seek(file, io::SeekFrom::End(0))
            .and_then(|_| file.write_all(format!("{text}\n").as_bytes()))
            .and_then(|()| file.sync_data());
        written.map_err(|source| ProgressError::Io {
            path: self.path.clone(),
            source,
        })
    }

    fn io(&self, source: io::Error) -> ProgressError {
        ProgressError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

fn same(path: &Path, head: &[u8], settings: &Map<String, Value>) -> Result<(), ProgressError> {
    let foreign = |reason: String| ProgressError::Foreign {
        path: path.to_owned(),
        reason,
    };
    let head: Value = serde_json::from_slice(head)
        .map_err(|error| foreign(error.to_string().replace('\n', " ")))?;
    if head["schema"] != SCHEMA {
        return Err(foreign(format!("its schema is {}", head["schema"])));
    }
    let found = &head["settings"];
    let odd = settings.iter().find(|(name, value)| found[name] != **value);
    odd.map_or(Ok(()), |(name, value)| {
        Err(ProgressError::Other {
            path: path.to_owned(),
            name: name.clone(),
            found: found[name].to_string(),
            wanted: value.to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(khz: u32) -> Probe {
        Probe {
            point: ClockPoint::new([khz, 0, 0]),
            rows: vec![(0.25, 0.01, 0.5, 0.1, 3)],
            idle: (1.5, 0.25),
            source: Source::Measured,
            spent_j: 2.0,
            seconds: 1.0,
            notes: vec![],
        }
    }

    fn settings(budget: u32) -> Map<String, Value> {
        let settings = serde_json::json!({ "budget": budget, "method": "model" });
        settings.as_object().unwrap().clone()
    }

    #[test]
    fn a_run_that_was_killed_goes_on_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.progress");
        let (mut first, none) = Progress::open(path.clone(), &settings(5), 1).unwrap();
        assert!(none.is_empty());
        first.keep(&probe(1)).unwrap();
        first.keep(&probe(2)).unwrap();
        drop(first);
        // Killed in the middle of a line.
        let mut bytes = std::fs::read(&path).unwrap();
        let whole = bytes.len();
        bytes.extend_from_slice(b"{\"point\":{\"cpu");
        std::fs::write(&path, &bytes).unwrap();
        let (mut second, found) = Progress::open(path.clone(), &settings(5), 1).unwrap();
        assert_eq!(found, [probe(1), probe(2)]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), whole as u64);
        second.keep(&probe(3)).unwrap();
        drop(second);
        let (third, found) = Progress::open(path.clone(), &settings(5), 1).unwrap();
        assert_eq!(found.len(), 3);
        third.done().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn other_settings_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.progress");
        drop(Progress::open(path.clone(), &settings(5), 1).unwrap());
        let error = Progress::open(path.clone(), &settings(6), 1).unwrap_err();
        let words = error.to_string();
        assert!(words.contains("budget = 5, this one has 6"), "{words}");
        std::fs::write(&path, "rubbish\n").unwrap();
        let error = Progress::open(path, &settings(6), 1).unwrap_err();
        assert!(error.to_string().contains("is no progress"), "{error}");
    }
}
