//! The machine itself.

use crate::case::{Case, Outcome};
use crate::guest::read;
use anyhow::ensure;

pub const CASES: &[Case] = &[
    Case::new("boot_has_two_cpus", two_cpus),
    Case::new("boot_takes_kernel_arguments", isolated_cpu).boot("isolcpus=1"),
];

fn two_cpus() -> Outcome {
    let online = read("/sys/devices/system/cpu/online")?;
    ensure!(online == "0-1", "CPUs online: {online}");
    println!("{}", read("/proc/version")?);
    Ok(())
}

fn isolated_cpu() -> Outcome {
    let isolated = read("/sys/devices/system/cpu/isolated")?;
    ensure!(isolated == "1", "isolated CPUs: {isolated:?}");
    Ok(())
}
