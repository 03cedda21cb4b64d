//! A recorded grid: true latency and energy of clock points, from a CSV file with
//! the columns `cpu_khz,gpu_khz,emc_khz,latency_s,energy_j` in any order (0 = no
//! such axis); other columns are ignored.
//!
//! Guarantees: at least one point, no point twice, all latencies and energies
//! finite and above 0; points are sorted by clocks, so the order of rows means
//! nothing. Any bytes are either a grid or one sentence with file and line.

use super::point::{Axis, ClockPoint};
use super::space::{Space, SpaceError};
use super::table::Table;
use std::fs;
use std::path::{Path, PathBuf};

/// Clock points and what each costs.
#[derive(Clone, Debug)]
pub struct Grid {
    /// Where one may measure.
    pub space: Space,
    /// Latency (s) and energy (J) of each point of the space.
    pub costs: Vec<[f64; 2]>,
}

/// Why a file is no grid.
#[derive(Debug, thiserror::Error)]
pub enum GridError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A row or the header is wrong.
    #[error("{path}:{line}: {what}", path = path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
}

/// Columns that a grid must have.
pub const COLUMNS: [&str; 5] = ["cpu_khz", "gpu_khz", "emc_khz", "latency_s", "energy_j"];

impl Grid {
    /// Reads a grid.
    ///
    /// # Errors
    /// When the file cannot be read, or a row is wrong.
    pub fn read(path: &Path) -> Result<Self, GridError> {
        let bytes = fs::read(path).map_err(|source| GridError::Io {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(&bytes).map_err(|(line, what)| GridError::Row {
            path: path.to_path_buf(),
            line,
            what,
        })
    }

    /// Parses a grid's bytes.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, (u64, String)> {
        let mut rows = Vec::new();
        let mut table = Table::new(bytes, &COLUMNS, 0)?;
        while let Some(row) = table.row()? {
            rows.push((row.line, row.point()?, [row.positive(3)?, row.positive(4)?]));
        }
        rows.sort_by_key(|(line, point, _)| (*point, *line));
        let space = Space::new(rows.iter().map(|row| row.1).collect());
        let space = space.map_err(|error| match error {
            SpaceError::Empty => (1, "no clock point follows the header".to_owned()),
            SpaceError::Twice(at) => twice(&rows[at - 1], &rows[at]),
            SpaceError::Mixed { point, axis } => mixed(&rows[0], &rows[point], axis),
        })?;
        let costs = rows.iter().map(|row| row.2).collect();
        Ok(Self { space, costs })
    }
}

type GridRow = (u64, ClockPoint, [f64; 2]);

fn twice(first: &GridRow, second: &GridRow) -> (u64, String) {
    let (clocks, line) = (first.1, first.0);
    let what = format!("{clocks} is in line {line} already; a clock point has one row");
    (second.0, what)
}

fn mixed(first: &GridRow, other: &GridRow, axis: Axis) -> (u64, String) {
    // The row without the axis is the one to look at.
    let (bare, full) = match first.1.khz()[axis.index()] {
        0 => (first, other),
        _ => (other, first),
    };
    let what = format!(
        "{column} is 0, but not in line {line}; an axis is there for all rows or for none",
        column = axis.column(),
        line = full.0,
    );
    (bare.0, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "cpu_khz,gpu_khz,emc_khz,latency_s,energy_j\n";

    fn fault(rows: &str) -> (u64, String) {
        Grid::parse((HEAD.to_owned() + rows).as_bytes()).unwrap_err()
    }

    #[test]
    fn the_order_of_rows_and_columns_means_nothing() {
        let a = Grid::parse((HEAD.to_owned() + "1,5,0,2,4\n2,5,0,1,8\n").as_bytes()).unwrap();
        let text =
            "note,energy_j,latency_s,emc_khz,gpu_khz,cpu_khz\r\nhot,8,1,0,5.0,2\r\n,4,2,0,5,1\r\n";
        let b = Grid::parse(text.as_bytes()).unwrap();
        assert_eq!(a.costs, b.costs);
        assert_eq!(a.space.points(), b.space.points());
        assert_eq!(a.costs, [[2.0, 4.0], [1.0, 8.0]]);
    }

    #[test]
    fn bad_rows_are_refused_with_their_line() {
        let good = "1,5,0,2,4\n";
        let bad = |row: &str| fault(&format!("{good}{row}\n"));
        for row in [
            "2,5,0,NaN,4",
            "2,5,0,-1,4",
            "2,5,0,0,4",
            "2,5,0,1,inf",
            "2,5,0,1,",
            "2,5,0,1",
            "x,5,0,1,4",
            "-2,5,0,1,4",
            "2.5,5,0,1,4",
        ] {
            assert_eq!(bad(row).0, 3, "{row}: {}", bad(row).1);
        }
        let (line, what) = bad("1,5,0,3,4");
        assert!(line == 3 && what.contains("line 2"), "{what}");
        let (line, what) = bad("2,5,7,3,4");
        assert!(line == 2 && what.contains("emc_khz is 0"), "{what}");
        assert_eq!(
            fault(""),
            (1, "no clock point follows the header".to_owned())
        );
        let (line, what) = Grid::parse(b"cpu_khz,gpu_khz\n1,2\n").unwrap_err();
        assert!(line == 1 && what.contains("emc_khz"), "{what}");
        assert!(Grid::parse(b"").is_err() && Grid::parse(b"\xff\xfe,\n\n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0..70_usize, bytes in prop::collection::vec(any::<u8>(), 0..9)) {
            let mut text = (HEAD.to_owned() + "1,5,0,2,4\n2,5,0,1,8\n").into_bytes();
            let at = at.min(text.len());
            text.splice(at.., bytes);
            if let Err((line, what)) = Grid::parse(&text) {
                prop_assert!(line >= 1 && !what.contains('\n'), "{}", what);
            }
        }
    }
}
