//! Power that is U-shaped over the CPU's clock, kept up by an outside poker: a thread
//! that reads the clock a hundred times a second and writes what a sensor then shows.

use super::tree::{CPU, FakeTree};
use e4::sync::{AtomicBool, Ordering};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

const CHIP: &str = "sys/class/hwmon/hwmon0";

/// The clock of least power; its neighbours draw at least a third more.
pub const BEST_KHZ: u32 = 1_113_600;

fn milliwatts(khz: u32) -> u32 {
    match khz {
        729_600 => 4_800,
        1_113_600 => 3_000,
        1_510_400 => 4_200,
        _ => 6_600,
    }
}

/// The poker; it ends when it is dropped.
#[derive(Debug)]
pub struct Poker {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Poker {
    /// Adds an INA3221 with one rail to `tree` and keeps its current up to date.
    pub fn start(tree: &FakeTree) -> Self {
        for (file, text) in [
            ("name", "ina3221\n"),
            ("update_interval", "7\n"),
            ("samples", "1\n"),
            ("in1_label", "VDD_IN\n"),
            ("in1_input", "12000\n"),
            ("curr1_input", "00500\n"),
            ("shunt1_resistor", "5000\n"),
        ] {
            tree.put(&format!("{CHIP}/{file}"), text);
        }
        let current = tree.path(&format!("{CHIP}/curr1_input"));
        // Without truncation, so that no reader sees an empty file.
        let current: File = OpenOptions::new().write(true).open(current).unwrap();
        let clock = tree.path(&format!("{CPU}/scaling_max_freq"));
        let over: Arc<AtomicBool> = Arc::default();
        let end = over.clone();
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let khz = std::fs::read_to_string(&clock).unwrap_or_default();
                if let Ok(khz) = khz.trim().parse() {
                    let milliamperes = milliwatts(khz) / 12;
                    let text = format!("{milliamperes:05}\n");
                    current.write_all_at(text.as_bytes(), 0).unwrap();
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Poker {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
