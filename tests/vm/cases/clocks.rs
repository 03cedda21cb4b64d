//! Clocks and sensors of the guest, by the kernel's own files.

use crate::case::{Case, Outcome};
use crate::guest::i2c::Chip;
use crate::guest::{load, read, registers, until, write};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case::new("clocks_table_is_kept", every_point),
    Case::new("clocks_throttle_when_hot", throttles),
    Case::new("clocks_bus_has_points", bus).only("aarch64"),
    Case::new("power_meter_reads", meter).only("x86_64"),
    Case::new("power_ina3221_reads", ina3221),
];

pub const POLICY: &str = "/sys/devices/system/cpu/cpufreq/policy0";

/// Loads the machine's cpufreq driver; the speeds of its table, in kHz.
pub(super) fn cpu_clocks() -> Result<Vec<u64>> {
    let driver = if cfg!(target_arch = "x86_64") {
        "acpi-cpufreq"
    } else {
        "cpufreq-dt"
    };
    load(driver, &[])?;
    let file = format!("{POLICY}/scaling_available_frequencies");
    until("cpufreq policy", Duration::from_secs(10), || {
        read(&file).is_ok()
    })?;
    let table: Result<Vec<u64>, _> = read(&file)?.split_whitespace().map(str::parse).collect();
    Ok(table?)
}

fn every_point() -> Outcome {
    let table = cpu_clocks()?;
    let expected = if cfg!(target_arch = "x86_64") { 6 } else { 4 };
    ensure!(table.len() == expected, "table: {table:?}");
    load("cpufreq_userspace", &[])?;
    write(format!("{POLICY}/scaling_governor"), "userspace")?;
    for khz in table {
        write(format!("{POLICY}/scaling_setspeed"), &khz.to_string())?;
        let now: u64 = read(format!("{POLICY}/scaling_cur_freq"))?.parse()?;
        ensure!(now == khz, "asked for {khz} kHz, got {now}");
    }
    Ok(())
}

fn throttles() -> Outcome {
    let table = cpu_clocks()?;
    let highest = *table.iter().max().context("an empty table")?;
    if cfg!(target_arch = "x86_64") {
        load("thermal", &[])?;
    } else {
        load("bcm2711_thermal", &[])?;
    }
    let limit = || -> Option<u64> {
        read(format!("{POLICY}/scaling_max_freq"))
            .ok()?
            .parse()
            .ok()
    };
    registers::set_temperature(80)?;
    let minute = Duration::from_secs(60);
    let hot = until("throttling at 80 C", minute, || limit() < Some(highest))?;
    registers::set_temperature(40)?;
    let cool = until("release at 40 C", minute, || limit() == Some(highest))?;
    println!("throttled after {hot:.1?}, released after {cool:.1?}");
    Ok(())
}

fn bus() -> Outcome {
    load("governor_userspace", &[])?;
    load("imx-bus", &[])?;
    let device = crate::guest::find("/sys/class/devfreq", |_| true)?;
    let points = read(device.join("available_frequencies"))?;
    ensure!(points.split_whitespace().count() == 4, "points: {points}");
    Ok(())
}

fn meter() -> Outcome {
    load("acpi_power_meter", &[])?;
    registers::set_power_quarters_w(50)?;
    let meter = crate::guest::find("/sys/class/hwmon", |path| {
        path.join("device/power1_average").exists() || path.join("power1_average").exists()
    })?;
    let file = [
        meter.join("power1_average"),
        meter.join("device/power1_average"),
    ]
    .into_iter()
    .find(|path| path.exists())
    .context("no reading")?;
    let limit = Duration::from_secs(10);
    until("reading of 12.5 W", limit, || {
        read(&file).is_ok_and(|uw| uw == "12500000")
    })?;
    Ok(())
}

/// 12 V and 2.5 A over the driver's default shunt of 10 mOhm: the chip's units are
/// 8 mV (bus) and 40 uV (shunt), both shifted left by three bits.
fn ina3221() -> Outcome {
    let chip = Chip::stub(0x40)?;
    chip.set(0x00, 0x7127)?;
    chip.set(0x01, (25_000 / 40) << 3)?;
    chip.set(0x02, (12_000 / 8) << 3)?;
    let hwmon = chip.attach("ina3221")?;
    let (volt, ampere) = (
        read(hwmon.join("in1_input"))?,
        read(hwmon.join("curr1_input"))?,
    );
    ensure!(
        (volt.as_str(), ampere.as_str()) == ("12000", "2500"),
        "{volt} mV, {ampere} mA"
    );
    chip.detach()
}
