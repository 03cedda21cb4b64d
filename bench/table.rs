//! The one table that every bench fills: what was measured, beside what, and
//! whether its target is met.

use std::fmt::Write as _;

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Median of the rounds, in `unit`.
    pub value: f64,
    pub unit: &'static str,
    /// What it is compared with, and that one's median in the same unit.
    pub peer: Option<(String, f64)>,
    /// Half the spread of the rounds' own medians over their median.
    pub noise: f64,
    /// The target in words, and whether it is met.
    pub target: Option<(String, bool)>,
}

impl Row {
    /// A line without peer and target. `rounds` are the medians of each round.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str, rounds: &[f64]) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            peer: None,
            noise: spread(rounds),
            target: None,
        }
    }

    /// The same, compared with a peer.
    pub fn against(self, name: impl Into<String>, value: f64) -> Self {
        Self {
            peer: Some((name.into(), value)),
            ..self
        }
    }

    /// The same, with a target.
    pub fn target(self, words: impl Into<String>, met: bool) -> Self {
        Self {
            target: Some((words.into(), met)),
            ..self
        }
    }

    /// Value over peer.
    pub fn ratio(&self) -> Option<f64> {
        self.peer.as_ref().map(|(_, peer)| self.value / peer)
    }

    fn cells(&self) -> [String; 7] {
        let number = |value: f64| format!("{value:.*} {}", digits(value), self.unit);
        let peer = self.peer.as_ref();
        let target = self.target.as_ref();
        [
            self.what.clone(),
            number(self.value),
            peer.map_or_else(dash, |(name, value)| format!("{name} {}", number(*value))),
            self.ratio()
                .map_or_else(dash, |ratio| format!("{ratio:.3}")),
            format!("{:.0} %", self.noise * 100.0),
            target.map_or_else(dash, |(words, _)| words.clone()),
            target.map_or_else(dash, |(_, met)| if *met { "met" } else { "not met" }.into()),
        ]
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// Three digits that count.
fn digits(value: f64) -> usize {
    match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    }
}

/// Prints the lines under one another.
pub fn print(rows: &[Row]) {
    let head = ["what", "value", "peer", "ratio", "noise", "target", ""].map(str::to_owned);
    let lines: Vec<[String; 7]> = std::iter::once(head)
        .chain(rows.iter().map(Row::cells))
        .collect();
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max();
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).unwrap_or(0));
    for line in &lines {
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            let written = match column {
                0 | 5 | 6 => write!(text, "{cell:<width$}  "),
                _ => write!(text, "{cell:>width$}  "),
            };
            debug_assert!(written.is_ok(), "a string takes everything");
        }
        println!("{}", text.trim_end());
    }
}

/// The `q`-quantile of `values`, which it sorts.
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index within the slice"
    )]
    let index = (last * q).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// The median of `values`, which it sorts.
pub fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}

fn spread(rounds: &[f64]) -> f64 {
    let mut rounds = rounds.to_vec();
    let (low, middle) = (quantile(&mut rounds, 0.0), quantile(&mut rounds, 0.5));
    (quantile(&mut rounds, 1.0) - low) / 2.0 / middle
}
