//! A sensor that shows power: INA3221 in either form, hwmon power, ACPI meters.

use super::boundary::Boundary;
use super::error::{Fault, RailFault};
use super::files::{Root, Source};
use super::found::{Found, FoundRail, Measure};
use super::gauge::Common;
use super::sensor::{PowerSensor, Quantity, Window};

#[derive(Debug)]
enum Gauge {
    /// Millivolts, milliamperes, the step of each, and the latest power's step.
    Product {
        volt: Source,
        ampere: Source,
        step_mv: f64,
        step_ma: f64,
        step_uw: f64,
    },
    /// Power in units of `unit_uw` microwatts.
    Power {
        power: Source,
        unit_uw: i64,
        step_uw: f64,
    },
}

/// An opened sensor whose readings are power.
#[derive(Debug)]
pub struct Wattmeter {
    common: Common,
    gauges: Vec<Gauge>,
}

impl Wattmeter {
    /// Opens the files of `rails`, which are `boundary`'s. `None` where one of them
    /// is an energy counter.
    ///
    /// # Errors
    /// The first rail that cannot be opened.
    pub(super) fn open(
        root: &Root,
        found: &Found,
        rails: &[&FoundRail],
        boundary: &Boundary,
    ) -> Result<Option<Self>, RailFault> {
        let mut gauges = Vec::with_capacity(rails.len());
        for (index, rail) in rails.iter().enumerate() {
            let opened = Gauge::open(root, &rail.measure);
            match opened.map_err(|fault| RailFault { rail: index, fault })? {
                Some(gauge) => gauges.push(gauge),
                None => return Ok(None),
            }
        }
        let common = Common::new(found, rails, boundary);
        Ok(Some(Self { common, gauges }))
    }
}

impl Gauge {
    fn open(root: &Root, measure: &Measure) -> Result<Option<Self>, Fault> {
        let open = |file: &str| Source::open(&root.path(file));
        Ok(match measure {
            Measure::VoltAmpere {
                volt,
                ampere,
                step_mv,
                step_ma,
            } => Some(Self::Product {
                volt: open(volt)?,
                ampere: open(ampere)?,
                step_mv: *step_mv,
                step_ma: *step_ma,
                step_uw: 0.0,
            }),
            Measure::Power {
                file,
                unit_uw,
                step_uw,
            } => Some(Self::Power {
                power: open(file)?,
                unit_uw: *unit_uw,
                step_uw: *step_uw,
            }),
            Measure::Energy { .. } => None,
        })
    }

    /// Microwatts. Less than nothing by up to two steps is the converter's offset.
    fn read(&mut self) -> Result<i64, Fault> {
        match self {
            Self::Product {
                volt,
                ampere,
                step_mv,
                step_ma,
                step_uw,
            } => {
                let (mv, ma) = (volt.read()?, ampere.read()?);
                if (ma as f64) < -2.0 * *step_ma {
                    return Err(Fault::Backwards);
                }
                // mV * mA = uW; a step of the one weighs as much as the other is large.
                *step_uw = mv.abs() as f64 * *step_ma + ma.abs() as f64 * *step_mv;
                mv.checked_mul(ma).ok_or(Fault::NotANumber)
            }
            Self::Power {
                power,
                unit_uw,
                step_uw,
            } => {
                let uw = power.read()?.checked_mul(*unit_uw);
                let uw = uw.ok_or(Fault::NotANumber)?;
                match (uw as f64) < -2.0 * *step_uw {
                    true => Err(Fault::Backwards),
                    false => Ok(uw),
                }
            }
        }
    }

    fn step_uw(&self) -> f64 {
        match self {
            Self::Product { step_uw, .. } | Self::Power { step_uw, .. } => *step_uw,
        }
    }
}

impl PowerSensor for Wattmeter {
    fn name(&self) -> &str {
        &self.common.name
    }
    fn rails(&self) -> &[String] {
        &self.common.boundary.rails
    }
    fn file(&self, rail: usize) -> &str {
        self.common.file(rail)
    }
    fn boundary(&self) -> &Boundary {
        &self.common.boundary
    }
    fn quantity(&self) -> Quantity {
        Quantity::Power
    }
    fn window(&self) -> Window {
        self.common.window
    }
    fn accuracy(&self) -> f64 {
        self.common.accuracy
    }
    fn read(&mut self, values: &mut [i64]) -> Result<(), RailFault> {
        let gauges = self.gauges.iter_mut().zip(values).enumerate();
        for (rail, (gauge, value)) in gauges {
            *value = gauge.read().map_err(|fault| RailFault { rail, fault })?;
        }
        Ok(())
    }
    fn quantum(&self) -> f64 {
        self.gauges.iter().map(Gauge::step_uw).sum()
    }
}
