//! Chips on the stub bus (`i2c-stub`): registers that keep what is written, from
//! the bus side (this module) and from the driver's.

use super::{find, load, read, until, write};
use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

const I2C_SLAVE_FORCE: libc::Ioctl = 0x0706;
const I2C_SMBUS: libc::Ioctl = 0x0720;
const SMBUS_WRITE: u8 = 0;
const SMBUS_WORD: u32 = 3;

/// One chip's registers.
#[derive(Debug)]
pub struct Chip {
    bus: File,
    /// The chip's place in sysfs once a driver has it ([`Chip::attach`]).
    pub folder: PathBuf,
    adapter: PathBuf,
    address: u16,
}

#[repr(C)]
struct SmbusCall {
    direction: u8,
    register: u8,
    size: u32,
    data: *const [u8; 34],
}

impl Chip {
    /// Loads the stub with one chip at `address` (the INA3221's usual one: 0x40).
    pub fn stub(address: u16) -> Result<Self> {
        load("i2c-dev", &[])?;
        load("i2c-stub", &[&format!("chip_addr={address:#x}")])?;
        let adapter = find("/sys/bus/i2c/devices", |path| {
            read(path.join("name")).is_ok_and(|name| name.starts_with("SMBus stub"))
        })?;
        let name = adapter.file_name().context("no name")?.to_string_lossy();
        let number = name.trim_start_matches("i2c-").to_owned();
        let node = format!("/dev/i2c-{number}");
        until(&node, Duration::from_secs(10), || Path::new(&node).exists())?;
        Ok(Self {
            bus: OpenOptions::new().read(true).write(true).open(&node)?,
            folder: adapter.join(format!("{number}-{address:04x}")),
            adapter,
            address,
        })
    }

    /// Writes a 16-bit register as the chip's driver reads it (high byte first).
    pub fn set(&self, register: u8, value: u16) -> Result<()> {
        let mut data = [0_u8; 34];
        data[..2].copy_from_slice(&value.to_be_bytes());
        let call = SmbusCall {
            direction: SMBUS_WRITE,
            register,
            size: SMBUS_WORD,
            data: &raw const data,
        };
        let fd = self.bus.as_raw_fd();
        // SAFETY: the request takes an integer; the descriptor is open.
        let selected =
            unsafe { libc::ioctl(fd, I2C_SLAVE_FORCE, libc::c_ulong::from(self.address)) };
        nix::errno::Errno::result(selected).context("cannot address the chip")?;
        // SAFETY: `call` has the layout of `struct i2c_smbus_ioctl_data`, and its
        // data the 34 bytes of `union i2c_smbus_data`; both outlive the call.
        let written = unsafe { libc::ioctl(fd, I2C_SMBUS, &raw const call) };
        nix::errno::Errno::result(written).context("cannot write the register")?;
        Ok(())
    }

    /// Gives the chip to a driver (`ina3221`); returns its hwmon folder.
    pub fn attach(&self, driver: &str) -> Result<PathBuf> {
        load(driver, &[])?;
        let wish = format!("{driver} {:#x}", self.address);
        write(self.adapter.join("new_device"), &wish)?;
        let hwmon = self.folder.join("hwmon");
        until("hwmon device", Duration::from_secs(10), || hwmon.exists())?;
        find(&hwmon.to_string_lossy(), |_| true)
    }

    /// Takes it away again.
    pub fn detach(&self) -> Result<()> {
        write(
            self.adapter.join("delete_device"),
            &format!("{:#x}", self.address),
        )
    }
}
