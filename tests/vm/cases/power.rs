//! Our power sensors over the kernel's own drivers, and energy whose truth is poked.

use crate::case::{Case, Outcome};
use crate::guest::i2c::Chip;
use crate::guest::process::{e4, e4_run};
use crate::guest::{load, registers};
use crate::power_contract::contract;
use anyhow::{Context, Result, ensure};
use e4::monotonic::now_ns;
use e4::power::{Choice, Figure, PowerSensor, Root, Sampler, SensorKind, Wish, select};
use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("power_ina3221_keeps_the_contract", ina3221_contract),
    Case::new("power_ina3221_constant_within_2_percent", constant),
    Case::new("power_ina3221_steps_are_inside_the_bar", stepped).limit_s(120),
    Case::new("power_ina3221_window_is_the_drivers", window),
    Case::new("power_ina3221_taken_away_is_a_gap", taken_away),
    Case::new("power_ina3221_measures_a_run", run_on_ina3221).limit_s(90),
    Case::new("power_meter_keeps_the_contract", meter_contract).only("x86_64"),
    Case::new("power_meter_measures_a_run", run_on_meter)
        .only("x86_64")
        .limit_s(90),
    Case::new("power_without_a_sensor_is_an_error", without),
];

const VOLTS: f64 = 12.0;

/// Three channels, 1.1 ms a conversion; 12 V on the first.
fn ina3221() -> Result<Chip> {
    let chip = Chip::stub(0x40)?;
    chip.set(0x00, 0x7127)?;
    chip.set(0x02, (12_000 / 8) << 3)?;
    draw(&chip, 0.0)?;
    chip.attach("ina3221")?;
    Ok(chip)
}

/// Makes the first channel draw this much; returns what the chip's resolution of
/// 4 mA makes of it.
fn draw(chip: &Chip, watts: f64) -> Result<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 16 A"
    )]
    let steps = (watts / VOLTS / 0.004).round() as u16;
    chip.set(0x01, steps << 3)?;
    Ok(f64::from(steps) * 0.004 * VOLTS)
}

fn sensor(kind: SensorKind, rails: &[&str]) -> Result<Box<dyn PowerSensor>> {
    let wish = Wish {
        choice: Choice::Kind(kind),
        board: None,
        rails: rails.iter().map(ToString::to_string).collect(),
    };
    let selected = select(&Root::default(), &wish)?;
    selected.sensor.context("no sensor")
}

fn ina3221_contract() -> Outcome {
    let chip = ina3221()?;
    let mut sensor = sensor(SensorKind::Ina3221, &["in1"])?;
    contract(sensor.as_mut(), &mut |watts| draw(&chip, watts).map(drop))?;
    drop(sensor);
    chip.detach()
}

fn meter_contract() -> Outcome {
    load("acpi_power_meter", &[])?;
    let mut sensor = sensor(SensorKind::Acpi, &[])?;
    ensure!(
        sensor.window().span_ns() == 1_000_000_000,
        "{}",
        sensor.window()
    );
    contract(sensor.as_mut(), &mut |watts| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 63 W"
        )]
        registers::set_power_quarters_w((watts * 4.0) as u8)?;
        // The driver asks the firmware once a second.
        sleep(Duration::from_millis(1_300));
        Ok(())
    })
}

fn energy(sampler: &mut Sampler, from_ns: u64, to_ns: u64) -> Result<Figure> {
    sampler.settled(from_ns, to_ns).with_context(|| {
        format!(
            "no figure: {:?} {:?}",
            sampler.complaint(),
            sampler.losses()
        )
    })
}

fn constant() -> Outcome {
    let chip = ina3221()?;
    let watts = draw(&chip, 7.3)?;
    let mut sampler = Sampler::start(sensor(SensorKind::Ina3221, &["in1"])?)?;
    sleep(Duration::from_millis(200));
    let from = now_ns();
    sleep(Duration::from_secs(10));
    let to = now_ns();
    let figure = energy(&mut sampler, from, to)?;
    let truth = watts * (to - from) as f64 / 1e9;
    println!(
        "{truth:.4} J measured as {figure:?}, {:?}",
        sampler.losses()
    );
    ensure!(
        (figure.joules - truth).abs() <= figure.error_joules,
        "outside the bar"
    );
    ensure!(
        figure.error_joules <= 0.02 * truth,
        "the bar is wider than 2 %"
    );
    drop(sampler);
    chip.detach()
}

/// Draws random power for four seconds; from when, until when, the true energy in
/// joules, and how far the pokes themselves leave it open.
fn steps(
    chip: &Chip,
    least_ms: u64,
    spread_ms: u64,
    next: &mut impl FnMut(u64) -> u64,
) -> Result<(u64, u64, f64, f64)> {
    let mut watts = draw(chip, 4.0)?;
    sleep(Duration::from_millis(200));
    let from = now_ns();
    let (mut since, mut truth, mut unsure) = (from, 0.0, 0.0);
    while since < from + 4_000_000_000 {
        sleep(Duration::from_millis(least_ms + next(spread_ms)));
        let began = now_ns();
        #[expect(clippy::cast_precision_loss, reason = "a few watts")]
        let wanted = 2.0 + next(100) as f64 / 10.0;
        let now = draw(chip, wanted)?;
        let done = now_ns();
        let middle = began + (done - began) / 2;
        truth += watts * (middle - since) as f64 / 1e9;
        unsure += (now - watts).abs() * (done - began) as f64 / 2e9;
        (watts, since) = (now, middle);
    }
    let to = now_ns();
    truth += watts * (to - since) as f64 / 1e9;
    Ok((from, to, truth, unsure))
}

/// Random steps for some seconds, 30 to 300 ms apart, then at a camera's rate; each
/// poke's own length is not the sensor's fault.
fn stepped() -> Outcome {
    let chip = ina3221()?;
    let mut sampler = Sampler::start(sensor(SensorKind::Ina3221, &["in1"])?)?;
    let mut random = 88_172_645_463_325_252_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut held_up = 0;
    for (round, (least_ms, spread_ms)) in [(30, 270), (30, 270), (1, 30), (500, 1)]
        .into_iter()
        .enumerate()
    {
        let (figure, truth, unsure) = loop {
            let (from, to, truth, unsure) = steps(&chip, least_ms, spread_ms, &mut next)?;
            if let Some(figure) = sampler.settled(from, to) {
                break (figure, truth, unsure);
            }
            // An emulator that was held up reads too late: that is a gap, no figure.
            held_up += 1;
            ensure!(held_up <= 4, "no figure: {:?}", sampler.losses());
        };
        let off = (figure.joules - truth).abs();
        println!(
            "round {round}: {truth:.4} +- {unsure:.4} J measured as {:.4} +- {:.4}, off by {off:.4}",
            figure.joules, figure.error_joules
        );
        ensure!(off <= figure.error_joules + unsure, "outside the bar");
        ensure!(
            figure.error_joules <= 0.2 * truth,
            "a bar that says nothing"
        );
    }
    drop(sampler);
    chip.detach()
}

/// 16 samples of 6.6 ms: the chip's registers change every 106 ms, and the driver
/// says 7 ms.
fn window() -> Outcome {
    let chip = ina3221()?;
    let window = sensor(SensorKind::Ina3221, &["in1"])?.window();
    ensure!(
        window.span_ns() == 7_500_000 && window.is_stated(),
        "{window}"
    );
    let hwmon = crate::guest::find(&chip.folder.join("hwmon").to_string_lossy(), |_| true)?;
    crate::guest::write(hwmon.join("samples"), "16")?;
    let stated = crate::guest::read(hwmon.join("update_interval"))?;
    let window = sensor(SensorKind::Ina3221, &["in1"])?.window();
    println!("update_interval {stated} ms, window {window}");
    ensure!(window.span_ns() >= 16 * 6_600_000, "{window}");
    chip.detach()
}

fn taken_away() -> Outcome {
    let chip = ina3221()?;
    draw(&chip, 5.0)?;
    let mut sampler = Sampler::start(sensor(SensorKind::Ina3221, &["in1"])?)?;
    let from = now_ns();
    sleep(Duration::from_millis(500));
    let to = now_ns();
    energy(&mut sampler, from, to)?;
    chip.detach()?;
    let from = now_ns();
    sleep(Duration::from_millis(300));
    let to = now_ns();
    ensure!(
        sampler.settled(from, to).is_none(),
        "energy of a sensor that is gone"
    );
    let words = sampler.complaint().context("no sentence")?;
    println!("{words}");
    ensure!(
        words.contains("curr1_input") || words.contains("in1_input"),
        "{words}"
    );
    Ok(())
}

const RUN: [&str; 8] = [
    "--source",
    "generator",
    "--frames",
    "120",
    "--bundle",
    "/engines/tiny-e2",
    "--sample=false",
    "--frame-energy",
];

fn judge(summary: &Value, watts: f64) -> Outcome {
    let energy = &summary["energy"];
    println!("{energy}");
    let number = |name: &str| energy[name].as_f64().with_context(|| format!("no {name}"));
    let truth = watts * number("seconds")?;
    let (joules, error) = (number("joules")?, number("error_joules")?);
    ensure!(
        (joules - truth).abs() <= error,
        "{joules} +- {error} J, in truth {truth}"
    );
    ensure!(number("per_frame_joules")? > 0.0, "no energy a frame");
    let frames = summary["frames"]["results"]
        .as_f64()
        .context("no results")?;
    ensure!(frames > 0.0, "no results");
    Ok(())
}

fn run_on_ina3221() -> Outcome {
    let chip = ina3221()?;
    let watts = draw(&chip, 6.0)?;
    let flags = ["--power-sensor", "ina3221", "--power-rails", "in1"];
    let (summary, lines) = e4_run(&[&RUN[..], &flags].concat())?;
    judge(&summary, watts)?;
    ensure!(
        summary["energy"]["rails"] == serde_json::json!(["in1"]),
        "rails"
    );
    let with = lines
        .iter()
        .filter(|line| line["energy_mj"].is_number())
        .count();
    println!("{with} of {} lines with their energy", lines.len());
    ensure!(with > 0, "no frame has an energy");
    chip.detach()
}

fn run_on_meter() -> Outcome {
    load("acpi_power_meter", &[])?;
    registers::set_power_quarters_w(50)?;
    sleep(Duration::from_millis(1_300));
    let (summary, lines) = e4_run(&[&RUN[..], &["--power-sensor", "acpi"]].concat())?;
    judge(&summary, 12.5)?;
    let window_ns = 1_000_000_000;
    let mut before = None;
    for line in &lines {
        let captured = line["captured_ns"].as_u64().context("no time")?;
        let latency = line["latency_us"].as_f64().context("no latency")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a latency"
        )]
        let decided = captured + (latency * 1e3) as u64;
        let long = decided - before.unwrap_or(captured) >= window_ns - 1_000;
        ensure!(
            long || line["energy_mj"].is_null(),
            "a frame shorter than the window: {line}"
        );
        before = Some(decided);
    }
    Ok(())
}

fn without() -> Outcome {
    let run = e4(&["run", "--power-sensor", "any"]).args(RUN).output()?;
    let words = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure!(run.status.code() == Some(2), "{}: {words}", run.status);
    ensure!(
        words.contains("--power-sensor any: this machine has no power sensor"),
        "{words}"
    );
    Ok(())
}
