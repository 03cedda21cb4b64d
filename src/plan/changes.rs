//! How long each clock takes to change, by direction, as the planner takes it and
//! as `e4 profile --transitions --json` writes it (`e4.transitions/1`).
//!
//! Guarantees: any text is transitions or one sentence. Where several domains are
//! of one kind, the first counts; a loop's times outweigh read-backs.

use super::point::{Axis, ClockPoint};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What `e4 profile --transitions --json` writes.
const SCHEMA: &str = "e4.transitions/1";

/// Median and 90th percentile of an axis's changes in one direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The axis.
    pub axis: Axis,
    /// To a faster clock; else to a slower one.
    pub up: bool,
    /// Median, microseconds.
    pub p50_us: f64,
    /// 90th percentile, microseconds.
    pub p90_us: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    domains: Vec<Domain>,
}

/// What is named with an underscore is for people, and passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Domain {
    #[serde(default, rename = "domain")]
    _domain: IgnoredAny,
    kind: Kind,
    #[serde(default, rename = "between_khz")]
    _between_khz: IgnoredAny,
    #[serde(default, rename = "speed_follows_clock")]
    _speed_follows_clock: IgnoredAny,
    #[serde(default, rename = "notes")]
    _notes: IgnoredAny,
    distributions: Vec<Times>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Cpu,
    Gpu,
    Emc,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Times {
    direction: Direction,
    by: Means,
    #[serde(default, rename = "verified")]
    _verified: IgnoredAny,
    #[serde(default, rename = "n")]
    _n: IgnoredAny,
    #[serde(default, rename = "missed")]
    _missed: IgnoredAny,
    p50_us: Option<f64>,
    p90_us: Option<f64>,
    #[serde(default, rename = "max_us")]
    _max_us: IgnoredAny,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Up,
    Down,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Means {
    Loop,
    ReadBack,
}

/// No change of a clock takes longer, microseconds.
const LONGEST_US: f64 = 60e6;
/// Larger files are no transitions.
const LIMIT_BYTES: u64 = 1 << 24;

/// A file's text.
///
/// # Errors
/// Why it cannot be read.
pub fn text(path: &std::path::Path) -> Result<String, String> {
    let bytes = crate::input::read_regular(path, LIMIT_BYTES).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|_| "is no UTF-8 text".to_owned())
}

/// What a text says; later entries outweigh earlier ones of the same axis and
/// direction.
///
/// # Errors
/// What the text lacks.
pub fn read(text: &str) -> Result<Vec<Measured>, String> {
    let file: File =
        serde_json::from_str(text).map_err(|error| error.to_string().replace('\n', " "))?;
    if file.schema != SCHEMA {
        return Err(format!("its schema is {:?}, not {SCHEMA:?}", file.schema));
    }
    let mut all = Vec::new();
    for domain in file.domains.iter().rev() {
        let axis = match domain.kind {
            Kind::Cpu => Axis::Cpu,
            Kind::Gpu => Axis::Gpu,
            Kind::Emc => Axis::Emc,
        };
        let mut by: Vec<&Times> = domain.distributions.iter().collect();
        by.sort_by_key(|times| times.by == Means::Loop);
        for times in by {
            if let (Some(p50_us), Some(p90_us)) = (times.p50_us, times.p90_us) {
                let times_us = 0.0..=LONGEST_US;
                if !times_us.contains(&p50_us) || !times_us.contains(&p90_us) || p90_us < p50_us {
                    return Err(format!(
                        "p50_us = {p50_us}, p90_us = {p90_us} are no times of a change (0 to {LONGEST_US}, rising)"
                    ));
                }
                all.push(Measured {
                    axis,
                    up: times.direction == Direction::Up,
                    p50_us,
                    p90_us,
                });
            }
        }
    }
    Ok(all)
}

/// Times of changes per axis: down, up; seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Changes {
    seconds: [[f64; 2]; 3],
}

impl Default for Changes {
    /// What others measured on an Orin Nano (arXiv 2606.16106): 1 ms for the cores,
    /// up to 10 ms for the GPU, 8 ms for the memory.
    fn default() -> Self {
        Self {
            seconds: [[1e-3; 2], [10e-3; 2], [8e-3; 2]],
        }
    }
}

impl Changes {
    /// Takes measured times instead of the assumed ones: the 90th percentile, for a
    /// deadline is to be kept.
    pub fn take(&mut self, measured: &[Measured]) {
        for one in measured {
            self.set(one.axis, one.up, one.p90_us * 1e-6);
        }
    }

    /// A change of `axis` takes this long.
    pub fn set(&mut self, axis: Axis, up: bool, seconds: f64) {
        if seconds.is_finite() && seconds >= 0.0 {
            self.seconds[axis.index()][usize::from(up)] = seconds;
        }
    }

    /// How long it takes from a point to another: as long as the slowest of the axes
    /// that change.
    #[must_use]
    pub fn between(&self, from: ClockPoint, to: ClockPoint) -> f64 {
        let pairs = from.khz().into_iter().zip(to.khz()).zip(self.seconds);
        let times = pairs.map(|((from, to), seconds)| match from == to {
            true => 0.0,
            false => seconds[usize::from(to > from)],
        });
        times.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_takes_as_long_as_its_slowest_axis() {
        let mut changes = Changes::default();
        let point = ClockPoint::new;
        assert!(changes.between(point([1, 2, 0]), point([1, 2, 0])) == 0.0);
        assert!(changes.between(point([1, 2, 0]), point([2, 3, 0])) == 10e-3);
        changes.set(Axis::Gpu, true, 0.0005);
        changes.set(Axis::Gpu, true, f64::NAN);
        assert!(changes.between(point([1, 2, 0]), point([2, 3, 0])) == 1e-3);
        assert!(changes.between(point([1, 3, 0]), point([1, 2, 0])) == 10e-3);
    }

    #[test]
    fn the_loops_times_come_last_and_other_schemas_are_refused() {
        let text = r#"{"schema": "e4.transitions/1", "domains": [{"domain": "cpu0",
            "kind": "cpu", "distributions": [
                {"direction": "up", "by": "loop", "p50_us": 900.0, "p90_us": 1000.0},
                {"direction": "up", "by": "read-back", "p50_us": 2.0, "p90_us": 3.0},
                {"direction": "down", "by": "read-back", "p50_us": null, "p90_us": null}
            ]}]}"#;
        let all = read(text).unwrap();
        assert_eq!(all.len(), 2);
        assert!(all[1].p90_us == 1000.0 && all[1].up);
        assert!(read("{}").is_err());
        let other = text.replace("transitions/1", "transitions/2");
        assert!(read(&other).unwrap_err().contains("e4.transitions/1"));
    }
}
