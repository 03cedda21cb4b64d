//! Vivid, the kernel's virtual camera, and its faults (inject them with [`Vivid::set`]).

use super::{find, load, process, read, until};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The driver's folder in sysfs, for [`super::unbind`] and [`super::bind`] of [`DEVICE`].
pub const DRIVER: &str = "/sys/bus/platform/drivers/vivid";
/// Vivid's platform device (all instances hang on it).
pub const DEVICE: &str = "vivid.0";

/// One capture device of vivid.
#[derive(Clone, Debug)]
pub struct Vivid {
    pub node: PathBuf,
}

impl Vivid {
    /// Loads the driver with one webcam (no tuner, no output, no metadata devices)
    /// and waits for its node. More parameters go after: `multiplanar=2`.
    pub fn load(parameters: &[&str]) -> Result<Self> {
        let mut all = vec![
            "n_devs=1",
            "node_types=0x1",
            "num_inputs=1",
            "input_types=0x0",
        ];
        all.extend(parameters);
        load("vivid", &all)?;
        Self::wait()
    }

    /// The only capture node of the driver, as soon as there is one.
    pub fn wait() -> Result<Self> {
        until("vivid node", Duration::from_secs(30), || {
            Self::node().is_ok()
        })?;
        Ok(Self {
            node: Self::node()?,
        })
    }

    /// Waits until the driver has made all its nodes, whatever was asked for.
    pub fn settled() -> Result<()> {
        let count = || std::fs::read_dir("/sys/class/video4linux").map_or(0, Iterator::count);
        let mut before = 0;
        until("rest among the nodes", Duration::from_secs(30), || {
            std::thread::sleep(Duration::from_millis(200));
            std::mem::replace(&mut before, count()) == count() && before > 0
        })
        .map(drop)
    }

    fn node() -> Result<PathBuf> {
        let is_capture = |path: &Path| read(path.join("name")).is_ok_and(|n| n.contains("vid-cap"));
        let device = find("/sys/class/video4linux", is_capture)?;
        let node = Path::new("/dev").join(device.file_name().context("no name")?);
        anyhow::ensure!(node.exists(), "{} does not exist yet", node.display());
        Ok(node)
    }

    /// Sets a control from a second descriptor: `set("percentage_of_dropped_buffers", 20)`.
    pub fn set(&self, control: &str, value: i64) -> Result<()> {
        self.ctl(&["-c", &format!("{control}={value}")]).map(drop)
    }

    /// Runs `v4l2-ctl` on the node; what it printed.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String> {
        let node = self.node.to_string_lossy();
        process::output(Command::new("v4l2-ctl").args(["-d", &node]).args(arguments))
    }
}
