//! The cost table's file: TOML head, `---`, CSV body.

use super::{Cost, CostTable, Head, Row, Source};
use crate::plan::grid::{COLUMNS as GRID_COLUMNS, Grid};
use crate::plan::point::Axis;
use crate::plan::table::{Fault, Row as Fields, Table};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Name and version of the file format.
pub const FORMAT: &str = "e4.cost-table/1";

const COLUMNS: [&str; 10] = [
    "segment",
    "cpu_khz",
    "gpu_khz",
    "emc_khz",
    "latency_s",
    "latency_spread_s",
    "energy_j",
    "energy_spread_j",
    "samples",
    "source",
];

/// Why a file is no cost table, or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// The file system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("{path}:{line}: {what}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

impl CostTable {
    /// Reads a cost table, or a plain grid
    /// (`cpu_khz,gpu_khz,emc_khz,latency_s,energy_j`) as one with a single
    /// segment.
    ///
    /// # Errors
    /// When the file cannot be read or a line is wrong.
    pub fn read(path: &Path) -> Result<Self, CostError> {
        let bytes = fs::read(path).map_err(at(path))?;
        Self::parse(&bytes).map_err(|(line, what)| CostError::Line {
            path: path.to_path_buf(),
            line,
            what,
        })
    }

    /// Parses a file's bytes; see [`read`](Self::read).
    ///
    /// # Errors
    /// The line, from 1, and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let first = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let holds = |name: &&str| {
            let names = first.split(|b| *b == b',');
            names.map(<[u8]>::trim_ascii).any(|n| n == name.as_bytes())
        };
        if GRID_COLUMNS.iter().any(holds) {
            return Grid::parse(bytes).map(|grid| Self::from_grid(&grid, Head::default()));
        }
        let (head, body, before) = split(bytes)?;
        let head = parse_head(head)?;
        let mut table = Table::new(body, &COLUMNS, before)?;
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        while let Some(fields) = table.row()? {
            lines.push(fields.line);
            rows.push(parse_row(&fields)?);
        }
        Self::new(head, rows).map_err(|(place, what)| (lines[place], what))
    }

    /// Writes the table; a file that is there is replaced whole or not at all.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn write(&self, path: &Path) -> Result<(), CostError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        fs::write(&part, self.to_text()).map_err(at(&part))?;
        fs::rename(&part, path).map_err(at(path))
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let texts = [
            ("format", &self.head.format),
            ("board", &self.head.board),
            ("boundary", &self.head.boundary),
            ("bundle", &self.head.bundle),
            ("bundle_sha256", &self.head.bundle_sha256),
        ];
        // Writing to a String cannot fail.
        for (key, value) in texts {
            let _ = writeln!(text, "{key} = {}", toml::Value::from(value.as_str()));
        }
        for idle in &self.head.idle {
            let _ = writeln!(text, "\n[[idle]]");
            let khz = Axis::ALL.into_iter().zip(idle.point().khz());
            for (axis, khz) in khz.filter(|(_, khz)| *khz > 0) {
                let _ = writeln!(text, "{} = {khz}", axis.column());
            }
            // A float in TOML has a point or an exponent; `{:?}` prints one.
            let _ = writeln!(
                text,
                "watts = {:?}\nerror_w = {:?}",
                idle.watts, idle.error_w
            );
        }
        let _ = writeln!(text, "---\n{}", COLUMNS.join(","));
        for row in self.rows() {
            let [cpu, gpu, emc] = row.point.khz();
            let (l, e) = (row.latency_s, row.energy_j);
            // `{}` prints the shortest decimal that reads back as the same f64.
            let _ = writeln!(
                text,
                "{},{cpu},{gpu},{emc},{},{},{},{},{},{}",
                row.segment,
                l.mean,
                l.spread,
                e.mean,
                e.spread,
                row.samples,
                row.source.name(),
            );
        }
        text
    }
}

/// Head, body, and the number of lines before the body.
fn split(bytes: &[u8]) -> Result<(&str, &[u8], u64), Fault> {
    let (mut start, mut line) = (0, 0);
    for text in bytes.split_inclusive(|b| *b == b'\n') {
        line += 1;
        if text.trim_ascii() == b"---" {
            let head = std::str::from_utf8(&bytes[..start])
                .map_err(|_| (1, "the head is no UTF-8 text".to_owned()))?;
            return Ok((head, &bytes[start + text.len()..], line));
        }
        start += text.len();
    }
    let what = "this is neither a cost table (no line `---` ends its head) nor a grid (no header with cpu_khz)";
    Err((1, what.to_owned()))
}

fn parse_head(text: &str) -> Result<Head, Fault> {
    let head: Head = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let breaks = text.as_bytes()[..start].iter().filter(|b| **b == b'\n');
        let line = u64::try_from(breaks.count()).unwrap_or(0) + 1;
        (line, error.message().replace('\n', " "))
    })?;
    for idle in &head.idle {
        if [idle.watts, idle.error_w]
            .iter()
            .any(|w| !w.is_finite() || *w < 0.0)
        {
            let what = format!(
                "the idle power at {} must be finite and not below 0",
                idle.point()
            );
            return Err((1, what));
        }
    }
    match head.format == FORMAT {
        true => Ok(head),
        false => {
            let what = format!("format is {:?}; this e4 reads {FORMAT:?}", head.format);
            Err((1, what))
        }
    }
}

fn parse_row(fields: &Fields<'_>) -> Result<Row, Fault> {
    let source = match fields.text(9)? {
        "measured" => Source::Measured,
        "simulated" => Source::Simulated,
        _ => return Err(fields.fault(9, "it must be measured or simulated")),
    };
    Ok(Row {
        segment: fields.whole(0)?,
        point: fields.point()?,
        latency_s: Cost {
            mean: fields.positive(4)?,
            spread: fields.not_negative(5)?,
        },
        energy_j: Cost {
            mean: fields.positive(6)?,
            spread: fields.not_negative(7)?,
        },
        samples: match fields.whole(8)? {
            0 => return Err(fields.fault(8, "a row has at least one")),
            samples => samples,
        },
        source,
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CostError {
    move |source| CostError::Io {
        path: path.to_path_buf(),
        source,
    }
}
