//! Where frames leave, from what the user has.

use crate::plan::belief::{Belief, Beliefs, Seen, learn};
use crate::telemetry::summary::{SCHEMA, Summary};
use serde::Deserialize;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Why the exits are not known. One sentence.
#[derive(Debug, thiserror::Error)]
pub enum ExitsError {
    /// Nothing tells them.
    #[error(
        "nothing says where frames leave: give --exits 70,20,10, --summary or --lines of a run, or --bundle"
    )]
    Unknown,
    /// They are none of this table.
    #[error("{flag}: {found} exit points, but the table has {expected} segments, one for each")]
    Count {
        /// Where they come from.
        flag: &'static str,
        /// Those given.
        found: usize,
        /// Those of the table.
        expected: usize,
    },
    /// They are no shares.
    #[error("{flag}: shares must not be below 0, and one must be above")]
    Shares {
        /// Where they come from.
        flag: &'static str,
    },
    /// The file cannot be read.
    #[error("{flag} {path}: {source}", path = path.display())]
    Io {
        /// Which one.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{flag} {path}:{line}: {reason}", path = path.display())]
    Line {
        /// Which one.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// One class of frames.
pub fn of_shares(
    flag: &'static str,
    shares: &[f64],
    segments: usize,
) -> Result<Beliefs, ExitsError> {
    if shares.len() != segments {
        return Err(ExitsError::Count {
            flag,
            found: shares.len(),
            expected: segments,
        });
    }
    let sum: f64 = shares.iter().sum();
    let fine = shares.iter().all(|s| *s >= 0.0 && s.is_finite()) && sum > 0.0 && sum.is_finite();
    if !fine {
        return Err(ExitsError::Shares { flag });
    }
    let shares = shares.iter().map(|share| share / sum).collect();
    Ok(Beliefs {
        classes: vec![Belief::of_exits(shares)],
        next: vec![vec![1.0]],
    })
}

/// One class, by the counts of a run's summary.
pub fn of_summary(path: &Path, segments: usize) -> Result<Beliefs, ExitsError> {
    const FLAG: &str = "--summary";
    let text = std::fs::read_to_string(path).map_err(io(FLAG, path))?;
    let wrong = |line: usize, reason: String| ExitsError::Line {
        flag: FLAG,
        path: path.to_owned(),
        line,
        reason,
    };
    let summary: Summary = serde_json::from_str(&text)
        .map_err(|error| wrong(error.line(), error.to_string().replace('\n', " ")))?;
    if summary.schema != SCHEMA {
        return Err(wrong(
            1,
            format!("its schema is {:?}, not {SCHEMA:?}", summary.schema),
        ));
    }
    let mut counts = vec![0.0; segments];
    for (exit, count) in &summary.exits {
        let at = exit
            .parse::<usize>()
            .ok()
            .and_then(|exit| exit.checked_sub(1));
        match at {
            #[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
            Some(at) if at < segments => counts[at] = *count as f64,
            _ => {
                return Err(ExitsError::Count {
                    flag: FLAG,
                    found: at.map_or(summary.exits.len(), |at| at + 1),
                    expected: segments,
                });
            }
        }
    }
    of_shares(FLAG, &counts, segments)
}

/// What a line of a run's output must have; the rest is of no matter here.
#[derive(Deserialize)]
struct Line {
    exit: usize,
}

/// Lines tell no gate's probability; one that is the same everywhere tells nothing.
const UNTOLD: f32 = 0.5;

/// Some classes, learned from the order of a run's frames.
pub fn of_lines(path: &Path, segments: usize, classes: usize) -> Result<Beliefs, ExitsError> {
    const FLAG: &str = "--lines";
    let file = std::fs::File::open(path).map_err(io(FLAG, path))?;
    let mut seen = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let text = line.map_err(io(FLAG, path))?;
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |reason: String| ExitsError::Line {
            flag: FLAG,
            path: path.to_owned(),
            line: number,
            reason,
        };
        let line: Line = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if line.exit == 0 || line.exit > segments {
            return Err(wrong(format!(
                "exit is {}, but the table has {segments} segments, one for each exit point",
                line.exit
            )));
        }
        seen.push(Seen {
            exit: line.exit - 1,
            first_gate: UNTOLD,
        });
    }
    match seen.is_empty() {
        true => Err(ExitsError::Shares { flag: FLAG }),
        false => Ok(learn(&seen, segments, classes)),
    }
}

fn io(flag: &'static str, path: &Path) -> impl Fn(io::Error) -> ExitsError {
    move |source| ExitsError::Io {
        flag,
        path: path.to_owned(),
        source,
    }
}
