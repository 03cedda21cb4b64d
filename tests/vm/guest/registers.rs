//! Pokes the registers behind the firmware's sensors, as an outside world would:
//! temperature, firmware cap, power (`tests/vm/firmware`).

use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

/// Degrees Celsius at the CPUs' sensor; above 70 the kernel throttles them.
pub fn set_temperature(celsius: u8) -> Result<()> {
    if cfg!(target_arch = "x86_64") {
        return port(0x89, celsius);
    }
    let word = 0x0001_0400 | (u32::from(celsius) * 10);
    memory::write(0x7f00_0200, word)
}

/// The highest operating point that the firmware allows: 0 is the fastest (x86_64).
pub fn set_firmware_cap(point: u8) -> Result<()> {
    port(0x8a, point)
}

/// What the power meter reads, in quarters of a watt (x86_64).
pub fn set_power_quarters_w(quarters: u8) -> Result<()> {
    port(0x8b, quarters)
}

/// 35 C, no cap, 10 W.
pub fn rest() {
    let done = set_temperature(35);
    let done = if cfg!(target_arch = "x86_64") {
        done.and_then(|()| set_firmware_cap(0))
            .and_then(|()| set_power_quarters_w(40))
    } else {
        done
    };
    done.expect("the guest's registers can be written");
}

fn port(address: u64, value: u8) -> Result<()> {
    let file = device("/dev/port")?;
    file.write_all_at(&[value], address)
        .context("cannot write an I/O port")
}

fn device(path: &str) -> Result<File> {
    let opened = OpenOptions::new().read(true).write(true).open(path);
    opened.with_context(|| format!("cannot open {path}"))
}

/// A word of physical memory that the kernel does not use as RAM.
mod memory {
    use super::{Context, Result, device};
    use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
    use std::num::NonZeroUsize;

    const PAGE: u32 = 4096;

    pub fn write(address: u32, value: u32) -> Result<()> {
        let file = device("/dev/mem")?;
        let length = NonZeroUsize::new(PAGE as usize).context("a page is not empty")?;
        let page = i64::from(address - address % PAGE);
        // SAFETY: a new mapping of a device file at an address that the kernel
        // chooses; it is unmapped below and nothing keeps a pointer into it.
        let start = unsafe {
            mmap(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                &file,
                page,
            )
        }
        .context("cannot map the sensor's register")?;
        // SAFETY: the offset lies in the mapped page and is a multiple of 4; other
        // accesses to the register are the kernel's own reads.
        unsafe {
            start
                .as_ptr()
                .cast::<u32>()
                .add((address % PAGE / 4) as usize)
                .write_volatile(value);
        }
        // SAFETY: exactly the mapping made above.
        unsafe { munmap(start, PAGE as usize) }.context("cannot unmap")
    }
}
