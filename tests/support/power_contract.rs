//! What every power sensor must do, whichever it is.
#![allow(dead_code, reason = "each test binary uses its own share")]

use anyhow::{Result, ensure};
use e4::power::{PowerSensor, Quantity};
use std::path::Path;

/// Holds `sensor` to the seam's promises. `poke` makes the outside world draw this
/// many watts within its boundary (a counter: spend as many joules), and returns once
/// a reading can show it.
pub fn contract(
    sensor: &mut dyn PowerSensor,
    poke: &mut dyn FnMut(f64) -> Result<()>,
) -> Result<()> {
    describes_itself(sensor)?;
    follows(sensor, poke)?;
    leaves_the_rest_of_the_buffer_alone(sensor)
}

fn describes_itself(sensor: &dyn PowerSensor) -> Result<()> {
    let rails = sensor.rails();
    ensure!(!sensor.name().is_empty(), "no name");
    ensure!(!rails.is_empty(), "no rails");
    ensure!(
        rails == sensor.boundary().rails,
        "the boundary has other rails"
    );
    let words = sensor.boundary().to_string();
    for (index, rail) in rails.iter().enumerate() {
        ensure!(!rails[..index].contains(rail), "{rail} is there twice");
        ensure!(words.contains(rail.as_str()), "{rail} is not in {words:?}");
        let files = sensor.files(index);
        ensure!(!files.is_empty(), "{rail} has no file");
        for file in files {
            ensure!(
                Path::new(file).starts_with("sys"),
                "{file} is no file of sysfs"
            );
        }
    }
    let window = sensor.window();
    ensure!(
        window.refresh_ns > 0 && window.span_ns() >= window.refresh_ns,
        "{window:?}"
    );
    ensure!(
        (0.0..1.0).contains(&sensor.accuracy()),
        "accuracy {}",
        sensor.accuracy()
    );
    Ok(())
}

fn total(sensor: &mut dyn PowerSensor) -> Result<f64> {
    let mut values = vec![0; sensor.rails().len()];
    let read = sensor.read(&mut values);
    ensure!(read.is_ok(), "{read:?}");
    Ok(values.iter().map(|&value| value as f64).sum())
}

fn follows(sensor: &mut dyn PowerSensor, poke: &mut dyn FnMut(f64) -> Result<()>) -> Result<()> {
    let mut spent = total(sensor)?;
    for watts in [5.0, 12.5, 2.5, 30.0] {
        poke(watts)?;
        let now = total(sensor)?;
        let seen = match sensor.quantity() {
            Quantity::Power => now,
            Quantity::Energy => now - spent,
        };
        let off = (seen - watts * 1e6).abs();
        ensure!(
            off <= sensor.quantum(),
            "{watts} W or J read as {seen} uW or uJ"
        );
        spent = now;
    }
    if sensor.quantity() == Quantity::Energy {
        ensure!(total(sensor)? == spent, "energy grew by itself");
    }
    Ok(())
}

fn leaves_the_rest_of_the_buffer_alone(sensor: &mut dyn PowerSensor) -> Result<()> {
    let mut values = vec![i64::MIN; sensor.rails().len() + 3];
    ensure!(sensor.read(&mut values).is_ok(), "a longer buffer");
    let rest = &values[sensor.rails().len()..];
    ensure!(rest.iter().all(|&value| value == i64::MIN), "{rest:?}");
    Ok(())
}
