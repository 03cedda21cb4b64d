//! A tree of plain files with a power sensor of each form.
#![allow(dead_code, reason = "each test binary uses its own share")]
#![allow(clippy::unwrap_used, reason = "a test fails by unwrapping")]

use std::fs;
use std::path::{Path, PathBuf};

/// A tree in a folder that vanishes with it.
#[derive(Debug)]
pub struct PowerTree(tempfile::TempDir);

pub const HWMON: &str = "sys/class/hwmon";

impl PowerTree {
    pub fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub fn put(&self, file: &str, text: impl ToString) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.to_string() + "\n").unwrap();
    }

    /// An INA3221 with these labels, 5 V and 1 A each, over 5 mOhm.
    pub fn ina3221(self, chip: u32, labels: &[&str]) -> Self {
        let folder = format!("{HWMON}/hwmon{chip}");
        self.put(&format!("{folder}/name"), "ina3221");
        self.put(&format!("{folder}/update_interval"), 7);
        self.put(&format!("{folder}/samples"), 1);
        for (number, label) in (1..).zip(labels) {
            self.put(&format!("{folder}/in{number}_label"), label);
            self.put(&format!("{folder}/in{number}_input"), 5_000);
            self.put(&format!("{folder}/curr{number}_input"), 1_000);
            self.put(&format!("{folder}/shunt{number}_resistor"), 5_000);
        }
        // The chip's shunt voltages and their sum.
        for (number, label) in [(4, "shunt"), (7, "sum of shunt voltages")] {
            self.put(&format!("{folder}/in{number}_label"), label);
            self.put(&format!("{folder}/in{number}_input"), 5);
        }
        self.put(&format!("{folder}/curr4_input"), 3_000);
        self
    }

    pub fn iio(self, device: u32, labels: &[&str]) -> Self {
        let folder = format!("sys/bus/iio/devices/iio:device{device}");
        for (number, label) in labels.iter().enumerate() {
            self.put(&format!("{folder}/rail_name_{number}"), label);
            self.put(&format!("{folder}/in_power{number}_input"), 5_000);
        }
        self
    }

    pub fn hwmon_power(self, chip: u32, name: &str) -> Self {
        let folder = format!("{HWMON}/hwmon{chip}");
        self.put(&format!("{folder}/name"), name);
        self.put(&format!("{folder}/power1_input"), 5_000_000);
        self.put(&format!("{folder}/update_interval"), 10);
        self
    }

    pub fn hwmon_energy(self, chip: u32) -> Self {
        let folder = format!("{HWMON}/hwmon{chip}");
        self.put(&format!("{folder}/name"), "ibmaem");
        self.put(&format!("{folder}/energy1_input"), 1_000_000);
        self.put(&format!("{folder}/update_interval"), 10);
        self
    }

    pub fn rapl(self) -> Self {
        let zones = [
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:0:1", "dram"),
            ("intel-rapl:1", "psys"),
            ("intel-rapl-mmio:0", "package-0"),
        ];
        for (zone, name) in zones {
            let folder = format!("sys/class/powercap/{zone}");
            self.put(&format!("{folder}/name"), name);
            self.put(&format!("{folder}/energy_uj"), 0);
            self.put(
                &format!("{folder}/max_energy_range_uj"),
                262_143_328_850_u64,
            );
        }
        self
    }

    /// A power meter whose attributes lie one folder further down.
    pub fn acpi(self, chip: u32) -> Self {
        let folder = format!("{HWMON}/hwmon{chip}");
        self.put(&format!("{folder}/device/name"), "power_meter");
        self.put(&format!("{folder}/device/power1_average"), 5_000_000);
        self.put(&format!("{folder}/device/power1_average_interval"), 100);
        self.put(&format!("{folder}/device/power1_accuracy"), "95.0%");
        fs::create_dir_all(self.path(&folder)).unwrap();
        self
    }

    pub fn board(self, compatible: &str) -> Self {
        self.put("proc/device-tree/compatible", compatible);
        self
    }
}
