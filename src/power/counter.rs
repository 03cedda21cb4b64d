//! A sensor that counts energy: RAPL and hwmon energy.

use super::boundary::Boundary;
use super::error::{Fault, RailFault};
use super::files::{Root, Source};
use super::found::{Found, FoundRail, Measure};
use super::gauge::Common;
use super::sensor::{PowerSensor, Quantity, Window};

#[derive(Debug)]
struct Counter {
    source: Source,
    wraps_after_uj: Option<i64>,
    latest_uj: Option<i64>,
    total_uj: i64,
}

impl Counter {
    /// Energy since the counter was opened.
    fn read(&mut self) -> Result<i64, Fault> {
        let now = self.source.read()?;
        let Some(before) = self.latest_uj.replace(now) else {
            return Ok(self.total_uj);
        };
        let grown = match (now.checked_sub(before), self.wraps_after_uj) {
            (Some(grown), _) if grown >= 0 => grown,
            (Some(fallen), Some(range)) if before <= range && now >= 0 => range + fallen,
            // What was used meanwhile is not known; the count goes on from here.
            _ => return Err(Fault::WentBack),
        };
        self.total_uj = self.total_uj.saturating_add(grown);
        Ok(self.total_uj)
    }
}

/// An opened sensor whose readings are energy.
#[derive(Debug)]
pub struct EnergyCounter {
    common: Common,
    counters: Vec<Counter>,
}

impl EnergyCounter {
    /// Opens the files of `rails`, which are `boundary`'s. `None` where one of them
    /// shows power.
    ///
    /// # Errors
    /// The first rail that cannot be opened.
    pub(super) fn open(
        root: &Root,
        found: &Found,
        rails: &[&FoundRail],
        boundary: &Boundary,
    ) -> Result<Option<Self>, RailFault> {
        let mut counters = Vec::with_capacity(rails.len());
        for (rail, found) in rails.iter().enumerate() {
            let Measure::Energy {
                file,
                wraps_after_uj,
            } = &found.measure
            else {
                return Ok(None);
            };
            let source = Source::open(&root.path(file));
            counters.push(Counter {
                source: source.map_err(|fault| RailFault {
                    rail,
                    part: 0,
                    fault,
                })?,
                wraps_after_uj: *wraps_after_uj,
                latest_uj: None,
                total_uj: 0,
            });
        }
        let common = Common::new(found, rails, boundary);
        Ok(Some(Self { common, counters }))
    }
}

impl PowerSensor for EnergyCounter {
    fn name(&self) -> &str {
        &self.common.name
    }
    fn rails(&self) -> &[String] {
        &self.common.boundary.rails
    }
    fn files(&self, rail: usize) -> &[String] {
        self.common.files(rail)
    }
    fn boundary(&self) -> &Boundary {
        &self.common.boundary
    }
    fn quantity(&self) -> Quantity {
        Quantity::Energy
    }
    fn window(&self) -> Window {
        self.common.window
    }
    fn accuracy(&self) -> f64 {
        self.common.accuracy
    }
    /// Every counter is read, also after one has failed, so that none loses its
    /// place.
    fn read(&mut self, values: &mut [i64]) -> Result<(), RailFault> {
        let mut failed = None;
        for (rail, (counter, value)) in self.counters.iter_mut().zip(values).enumerate() {
            match counter.read() {
                Ok(energy) => *value = energy,
                Err(fault) => {
                    failed.get_or_insert(RailFault {
                        rail,
                        part: 0,
                        fault,
                    });
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
    fn quantum(&self) -> f64 {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(range: Option<i64>) -> (tempfile::TempDir, std::path::PathBuf, Counter) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("energy_uj");
        std::fs::write(&path, "900").unwrap();
        let counter = Counter {
            source: Source::open(&path).unwrap(),
            wraps_after_uj: range,
            latest_uj: None,
            total_uj: 0,
        };
        (folder, path, counter)
    }

    #[test]
    fn a_counter_that_wraps_loses_nothing() {
        let (_folder, path, mut counter) = counter(Some(1_000));
        assert_eq!(counter.read(), Ok(0));
        for (text, total) in [
            ("950", 50),
            ("20", 120),
            ("20", 120),
            ("1000", 1_100),
            ("5", 1_105),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(counter.read(), Ok(total), "{text}");
        }
    }

    #[test]
    fn a_counter_that_falls_without_a_range_is_a_fault_and_counts_on() {
        let (_folder, path, mut counter) = counter(None);
        assert_eq!(counter.read(), Ok(0));
        std::fs::write(&path, "10").unwrap();
        assert_eq!(counter.read(), Err(Fault::WentBack));
        std::fs::write(&path, "15").unwrap();
        assert_eq!(counter.read(), Ok(5));
    }
}
