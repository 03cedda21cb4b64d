//! A sensor that shows power: INA3221 in either form, hwmon power, ACPI meters.

use super::boundary::Boundary;
use super::error::{Fault, RailFault};
use super::files::{Root, Source};
use super::found::{Found, FoundRail, Measure};
use super::gauge::Common;
use super::sensor::{PowerSensor, Quantity, Window};

/// Places of the files in [`Measure::files`].
const AMPERE: usize = 0;
const VOLT: usize = 1;

/// A fault and the place of its file.
type InPart = (usize, Fault);

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
            match opened.map_err(|(part, fault)| RailFault {
                rail: index,
                part,
                fault,
            })? {
                Some(gauge) => gauges.push(gauge),
                None => return Ok(None),
            }
        }
        let common = Common::new(found, rails, boundary);
        Ok(Some(Self { common, gauges }))
    }
}

impl Gauge {
    fn open(root: &Root, measure: &Measure) -> Result<Option<Self>, InPart> {
        let open =
            |part: usize, file: &str| Source::open(&root.path(file)).map_err(|fault| (part, fault));
        Ok(match measure {
            Measure::VoltAmpere {
                volt,
                ampere,
                step_mv,
                step_ma,
            } => Some(Self::Product {
                volt: open(VOLT, volt)?,
                ampere: open(AMPERE, ampere)?,
                step_mv: *step_mv,
                step_ma: *step_ma,
                step_uw: 0.0,
            }),
            Measure::Power {
                file,
                unit_uw,
                step_uw,
            } => Some(Self::Power {
                power: open(0, file)?,
                unit_uw: *unit_uw,
                step_uw: *step_uw,
            }),
            Measure::Energy { .. } => None,
        })
    }

    /// Microwatts.
    fn read(&mut self) -> Result<i64, InPart> {
        match self {
            Self::Product {
                volt,
                ampere,
                step_mv,
                step_ma,
                step_uw,
            } => {
                let mv = volt.read().map_err(|fault| (VOLT, fault))?;
                let ma = ampere.read().map_err(|fault| (AMPERE, fault))?;
                // mV * mA = uW; a step of the one weighs as much as the other is large.
                *step_uw =
                    mv.unsigned_abs() as f64 * *step_ma + ma.unsigned_abs() as f64 * *step_mv;
                forwards(mv.checked_mul(ma), *step_uw)
            }
            Self::Power {
                power,
                unit_uw,
                step_uw,
            } => {
                let power = power.read().map_err(|fault| (0, fault))?;
                forwards(power.checked_mul(*unit_uw), *step_uw)
            }
        }
    }

    fn step_uw(&self) -> f64 {
        match self {
            Self::Product { step_uw, .. } | Self::Power { step_uw, .. } => *step_uw,
        }
    }
}

/// The power, where it is a number and not less than nothing by more than two steps,
/// which is the converter's offset.
fn forwards(uw: Option<i64>, step_uw: f64) -> Result<i64, InPart> {
    let uw = uw.ok_or((0, Fault::NotANumber))?;
    if (uw as f64) < -2.0 * step_uw {
        return Err((0, Fault::Backwards));
    }
    Ok(uw)
}

impl PowerSensor for Wattmeter {
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
            *value = gauge
                .read()
                .map_err(|(part, fault)| RailFault { rail, part, fault })?;
        }
        Ok(())
    }
    fn quantum(&self) -> f64 {
        self.gauges.iter().map(Gauge::step_uw).sum()
    }
}
