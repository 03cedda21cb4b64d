//! Which sensor measures a run, and which of its rails add up.
//!
//! Guarantees: a wish that cannot be met is an error in one sentence; `auto` takes
//! the first sensor that can be read, and says so where one that is there cannot.

use super::board::{self, Board};
use super::boundary::{Basis, Boundary};
use super::counter::EnergyCounter;
use super::discover::discover;
use super::error::{Fault, PowerError, RailFault};
use super::files::Root;
use super::found::{Found, FoundRail, SensorKind};
use super::sensor::PowerSensor;
use super::wattmeter::Wattmeter;
use nix::errno::Errno;

/// Which sensor is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The best that can be read, if there is one.
    #[default]
    Auto,
    /// The best that can be read; its lack is an error.
    Any,
    /// None.
    None,
    /// One of this kind; its lack is an error.
    Kind(SensorKind),
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Which sensor.
    pub choice: Choice,
    /// Name of the board; unset: the one that the device tree describes.
    pub board: Option<String>,
    /// Labels of the rails to add up; empty: those of the board.
    pub rails: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Selected {
    /// The sensor, opened and read once.
    pub sensor: Option<Box<dyn PowerSensor>>,
    /// Sensors that are there and cannot be read.
    pub notices: Vec<String>,
}

/// Finds and opens the sensor that `wish` asks for.
///
/// # Errors
/// Where a sensor is asked for and cannot be had, or a board or a rail is named that
/// is not known.
pub fn select(root: &Root, wish: &Wish) -> Result<Selected, PowerError> {
    let board = match &wish.board {
        Some(name) => Some(board::named(name)?),
        None => board::detect(root),
    };
    let mut selected = Selected {
        sensor: None,
        notices: Vec::new(),
    };
    if wish.choice == Choice::None {
        return Ok(selected);
    }
    let all = discover(root);
    let wanted = |found: &&Found| match wish.choice {
        Choice::Kind(kind) => found.kind == kind,
        _ => true,
    };
    let mut failure = None;
    for found in all.iter().filter(wanted) {
        match open(root, found, board, &wish.rails) {
            Ok(sensor) => {
                selected.sensor = Some(sensor);
                return Ok(selected);
            }
            Err(error) => {
                selected.notices.push(error.to_string());
                failure.get_or_insert(error);
            }
        }
    }
    match (failure, wish.choice.name()) {
        (Some(error @ PowerError::NoRail { .. }), _) => Err(error),
        (Some(error), Some(_)) => Err(error),
        (None, Some(wanted)) => Err(PowerError::NoSensor {
            wanted,
            there: there(&all),
        }),
        (_, None) => Ok(selected),
    }
}

impl Choice {
    /// The name of a wish that must be met.
    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Auto | Self::None => None,
            Self::Any => Some("any"),
            Self::Kind(kind) => Some(kind.name()),
        }
    }
}

fn there(all: &[Found]) -> String {
    let mut names: Vec<_> = all.iter().map(|found| found.kind.name()).collect();
    names.dedup();
    match names.as_slice() {
        [] => "no power sensor".to_owned(),
        names => format!("no such power sensor (it has {})", names.join(", ")),
    }
}

/// Opens a sensor for the rails that add up to `board`, or for those named, and
/// reads it once.
///
/// # Errors
/// When a rail is not there or cannot be read.
pub fn open(
    root: &Root,
    found: &Found,
    board: Option<&'static Board>,
    named: &[String],
) -> Result<Box<dyn PowerSensor>, PowerError> {
    let boundary = boundary(found, board, named)?;
    let of_label = |label: &String| found.rails.iter().find(|rail| &rail.label == label);
    let rails: Vec<&FoundRail> = boundary.rails.iter().filter_map(of_label).collect();
    let unreadable = |fault| unreadable(found, &rails, fault);
    let sensor: Option<Box<dyn PowerSensor>> =
        match Wattmeter::open(root, found, &rails, &boundary).map_err(unreadable)? {
            Some(meter) => Some(Box::new(meter)),
            None => EnergyCounter::open(root, found, &rails, &boundary)
                .map_err(unreadable)?
                .map(|counter| Box::new(counter) as Box<dyn PowerSensor>),
        };
    let mut sensor = sensor.ok_or_else(|| {
        unreadable(RailFault {
            rail: 0,
            part: 0,
            fault: Fault::NotANumber,
        })
    })?;
    let mut values = vec![0; rails.len()];
    sensor.read(&mut values).map_err(unreadable)?;
    Ok(sensor)
}

fn unreadable(found: &Found, rails: &[&FoundRail], error: RailFault) -> PowerError {
    let file = rails.get(error.rail).map(|rail| rail.measure.files());
    let file = file.and_then(|files| files.get(error.part).map(ToString::to_string));
    let file = file.unwrap_or_default();
    PowerError::Unreadable {
        sensor: found.name.clone(),
        fix: fix(error.fault, &file),
        file,
        fault: error.fault,
    }
}

/// What mends a fault, with the words before it.
pub(super) fn fix(fault: Fault, file: &str) -> String {
    match fault {
        Fault::System(Errno::EACCES | Errno::EPERM) => {
            format!(": run as root, or `sudo chmod a+r /{file}`")
        }
        Fault::Gone => ": its driver has been unloaded".to_owned(),
        _ => String::new(),
    }
}

/// The rails to add up.
pub(super) fn boundary(
    found: &Found,
    board: Option<&'static Board>,
    named: &[String],
) -> Result<Boundary, PowerError> {
    let all: Vec<&String> = found.rails.iter().map(|rail| &rail.label).collect();
    let of_board = board.filter(|_| found.kind == SensorKind::Ina3221);
    let (rails, basis): (Vec<String>, Basis) = if !named.is_empty() {
        if let Some(rail) = named.iter().find(|rail| !all.contains(rail)) {
            return Err(PowerError::NoRail {
                sensor: found.name.clone(),
                rail: rail.clone(),
                there: found.labels(),
            });
        }
        (named.to_vec(), Basis::Chosen)
    } else if let Some((board, some)) = of_board.and_then(|board| {
        let some: Vec<String> = board
            .rails
            .iter()
            .filter(|r| all.contains(r))
            .cloned()
            .collect();
        (!some.is_empty()).then_some((board, some))
    }) {
        let missing: Vec<String> = board
            .rails
            .iter()
            .filter(|r| !all.contains(r))
            .cloned()
            .collect();
        let board = board.name.as_str();
        match missing.is_empty() {
            true => (some, Basis::Board(board)),
            false => (some, Basis::PartOf { board, missing }),
        }
    } else {
        let own = found.rails.iter().filter(|rail| !rail.nested);
        let own: Vec<String> = own.map(|rail| rail.label.clone()).collect();
        let rails = if own.is_empty() {
            all.iter().copied().cloned().collect()
        } else {
            own
        };
        (rails, basis(found.kind))
    };
    let left_out = all
        .into_iter()
        .filter(|rail| !rails.contains(rail))
        .cloned();
    Ok(Boundary {
        left_out: left_out.collect(),
        rails,
        basis,
    })
}

fn basis(kind: SensorKind) -> Basis {
    match kind {
        SensorKind::Rapl => Basis::Processor,
        SensorKind::Acpi => Basis::Meter,
        SensorKind::Ina3221 | SensorKind::Hwmon => Basis::Unknown,
    }
}
