//! CSV with a header: rows whose fields are found by name and checked, errors
//! with their line.

use super::point::{Axis, ClockPoint};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Trim};

/// A line, from 1, and what is wrong with it.
pub type Fault = (u64, String);

/// Rows of a CSV text.
pub struct Table<'a> {
    reader: Reader<&'a [u8]>,
    record: ByteRecord,
    columns: &'static [&'static str],
    places: Vec<usize>,
    before: u64,
}

/// One row.
pub struct Row<'a> {
    /// Line, from 1.
    pub line: u64,
    record: &'a ByteRecord,
    columns: &'static [&'static str],
    places: &'a [usize],
}

impl<'a> Table<'a> {
    /// Reads the header; `columns` must be in it, `before` lines came before it.
    pub fn new(
        bytes: &'a [u8],
        columns: &'static [&'static str],
        before: u64,
    ) -> Result<Self, Fault> {
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes);
        let header = reader.byte_headers().map_err(|e| fault(&e, before))?;
        let place = |name: &&str| {
            let mut found = (0..header.len()).filter(|i| &header[*i] == name.as_bytes());
            match (found.next(), found.next()) {
                (Some(place), None) => Ok(place),
                (None, _) => Err((
                    before + 1,
                    format!("the column {name} is missing from the header"),
                )),
                _ => Err((before + 1, format!("the column {name} is there twice"))),
            }
        };
        let places = columns.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self {
            reader,
            record: ByteRecord::new(),
            columns,
            places,
            before,
        })
    }

    /// The next row.
    pub fn row(&mut self) -> Result<Option<Row<'_>>, Fault> {
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|e| fault(&e, self.before))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(Row {
            line: line + self.before,
            record: &self.record,
            columns: self.columns,
            places: &self.places,
        }))
    }
}

fn fault(error: &csv::Error, before: u64) -> Fault {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} fields, but the header names {expected_len} columns"),
        other => format!("{other:?}"),
    };
    (line + before, what)
}

impl Row<'_> {
    /// Text of a column, by its place in the list of columns.
    pub fn text(&self, column: usize) -> Result<&str, Fault> {
        let bytes = &self.record[self.places[column]];
        std::str::from_utf8(bytes).map_err(|_| {
            let name = self.columns[column];
            (self.line, format!("{name} is no UTF-8 text"))
        })
    }

    /// What is wrong with a column.
    pub fn fault(&self, column: usize, rule: &str) -> Fault {
        let name = self.columns[column];
        match self.text(column) {
            Ok("") => (self.line, format!("{name} is empty; {rule}")),
            Ok(text) => {
                let text: String = text.chars().take(40).collect();
                (self.line, format!("{name} is {text:?}; {rule}"))
            }
            Err(fault) => fault,
        }
    }

    /// A number.
    pub fn number(&self, column: usize) -> Result<f64, Fault> {
        let number = self.text(column)?.parse::<f64>().ok();
        number
            .filter(|v| v.is_finite())
            .ok_or_else(|| self.fault(column, "it must be a finite number"))
    }

    /// A number above 0.
    pub fn positive(&self, column: usize) -> Result<f64, Fault> {
        match self.number(column)? {
            value if value > 0.0 => Ok(value),
            _ => Err(self.fault(column, "it must be above 0")),
        }
    }

    /// A number that is not below 0.
    pub fn not_negative(&self, column: usize) -> Result<f64, Fault> {
        match self.number(column)? {
            value if value >= 0.0 => Ok(value),
            _ => Err(self.fault(column, "it must not be below 0")),
        }
    }

    /// A whole number.
    pub fn whole(&self, column: usize) -> Result<u32, Fault> {
        let text = self.text(column)?;
        let exact = text.parse::<u32>().ok();
        // Tables written by statistics programs have clocks like "1300500.0".
        let whole = text.strip_suffix(".0").and_then(|t| t.parse().ok());
        exact
            .or(whole)
            .ok_or_else(|| self.fault(column, "it must be a whole number, 0 to 4294967295"))
    }

    /// The clock point of the columns named after the axes.
    pub fn point(&self) -> Result<ClockPoint, Fault> {
        let mut khz = [0; 3];
        for (axis, khz) in Axis::ALL.into_iter().zip(&mut khz) {
            let column = self.columns.iter().position(|c| *c == axis.column());
            if let Some(column) = column {
                *khz = self.whole(column)?;
            }
        }
        Ok(ClockPoint::new(khz))
    }
}
