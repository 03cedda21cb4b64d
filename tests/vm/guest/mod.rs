//! What cases use of the guest: its modules and devices, files of sysfs, programs.

pub mod camera;
pub mod i2c;
pub mod order;
pub mod process;
pub mod registers;
pub mod rights;
pub mod tasks;
pub mod trace;

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Loads a module with its parameters (`n_devs=2`); the runner unloads it after
/// the case.
pub fn load(module: &str, parameters: &[&str]) -> Result<()> {
    process::output(Command::new("modprobe").arg(module).args(parameters)).map(drop)
}

/// Unloads a module and those that only it used.
pub fn unload(module: &str) -> Result<()> {
    process::output(Command::new("modprobe").args(["-r", module])).map(drop)
}

/// The loaded modules.
pub fn modules() -> Vec<String> {
    let text = fs::read_to_string("/proc/modules").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// A file's text without the newline at its end.
pub fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(text?.trim_end().to_owned())
}

/// Writes a file of sysfs, procfs and the like.
pub fn write(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    fs::write(path, text).with_context(|| format!("cannot write {text:?} to {}", path.display()))
}

/// Detaches a device from its driver: its nodes vanish, as when it is unplugged.
pub fn unbind(driver: &str, device: &str) -> Result<()> {
    write(Path::new(driver).join("unbind"), device)
}

/// Attaches it again.
pub fn bind(driver: &str, device: &str) -> Result<()> {
    write(Path::new(driver).join("bind"), device)
}

/// Waits until `condition` holds; fails, naming `what`, where it does not within `limit`.
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<Duration> {
    let began = Instant::now();
    while !condition() {
        if began.elapsed() > limit {
            bail!("no {what} within {} s", limit.as_secs());
        }
        sleep(Duration::from_millis(5));
    }
    Ok(began.elapsed())
}

/// Every line of the kernel's log.
pub fn kernel_log() -> Vec<String> {
    let text = process::output(&mut Command::new("dmesg")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The one entry of a folder of sysfs for which `wanted` holds.
pub fn find(folder: &str, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {folder}"))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| wanted(path))
        .collect();
    ensure!(found.len() == 1, "{} such entries in {folder}", found.len());
    found.pop().context("none")
}
