//! A sensor that has been found and not been opened yet.

use super::sensor::Window;

/// Kinds of sensors, in the order in which `auto` prefers them: those that measure
/// a board's rails first, then those that are quick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SensorKind {
    /// INA3221 chips: voltage and current of up to three rails each.
    Ina3221,
    /// Running average power limit: the processor's own energy counters.
    Rapl,
    /// An ACPI power meter.
    Acpi,
    /// Any other hwmon device that shows power or energy.
    Hwmon,
}

impl SensorKind {
    /// Every kind, in order of preference.
    pub const ALL: [Self; 4] = [Self::Ina3221, Self::Rapl, Self::Acpi, Self::Hwmon];

    /// The name, as `--power-sensor` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ina3221 => "ina3221",
            Self::Rapl => "rapl",
            Self::Acpi => "acpi",
            Self::Hwmon => "hwmon",
        }
    }
}

/// How a rail is measured. Files are named from the root on.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Millivolts and milliamperes.
    VoltAmpere {
        /// File of the voltage.
        volt: String,
        /// File of the current.
        ampere: String,
        /// Step of the voltage in mV.
        step_mv: f64,
        /// Step of the current in mA.
        step_ma: f64,
    },
    /// Power.
    Power {
        /// Its file.
        file: String,
        /// Microwatts in one unit of the file.
        unit_uw: i64,
        /// Step of the power in microwatts.
        step_uw: f64,
    },
    /// An energy counter in microjoules.
    Energy {
        /// Its file.
        file: String,
        /// The value after which it starts over at 0, where it does.
        wraps_after_uj: Option<i64>,
    },
}

impl Measure {
    /// The files, the one that errors name first.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        match self {
            Self::VoltAmpere { volt, ampere, .. } => vec![ampere, volt],
            Self::Power { file, .. } | Self::Energy { file, .. } => vec![file],
        }
    }
}

/// One rail of a sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRail {
    /// Its label.
    pub label: String,
    /// How it is measured.
    pub measure: Measure,
    /// Whether another rail of the sensor contains it.
    pub nested: bool,
}

/// A sensor: one kind, one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its kind.
    pub kind: SensorKind,
    /// Kind and place, for people.
    pub name: String,
    /// Every rail that is connected.
    pub rails: Vec<FoundRail>,
    /// The time that its readings blur over.
    pub window: Window,
    /// Calibration error as a share; 0 where it states none.
    pub accuracy: f64,
}

impl Found {
    /// Labels of its rails with commas between them.
    #[must_use]
    pub fn labels(&self) -> String {
        let labels: Vec<_> = self.rails.iter().map(|rail| rail.label.as_str()).collect();
        labels.join(", ")
    }
}
