//! Idle states held shallow: `/dev/cpu_dma_latency`, kept open.
//!
//! Guarantees: from [`CpuLatency::hold`] until the drop of what it returns (or
//! the end of the process, however that comes) no core enters an idle state that
//! takes longer to leave than was asked for. Not guaranteed: anything where the
//! kernel manages no idle states, as in most virtual machines.
//!
//! Cost: one open and one write at start; power, for as long as it is held.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The kernel's node.
pub const NODE: &str = "/dev/cpu_dma_latency";

/// A wake-up latency that the kernel keeps to for as long as this lives.
#[derive(Debug)]
pub struct CpuLatency {
    _open: File,
}

impl CpuLatency {
    /// Asks for at most `us` microseconds to leave an idle state; 0 keeps the
    /// cores from idling at all.
    ///
    /// # Errors
    /// When [`NODE`] is missing or not ours to write to.
    pub fn hold(us: u32) -> Result<Self, LatencyError> {
        Self::hold_at(Path::new(NODE), us)
    }

    fn hold_at(node: &Path, us: u32) -> Result<Self, LatencyError> {
        let wish = i32::try_from(us).unwrap_or(i32::MAX);
        let refused = |source| LatencyError {
            node: node.to_owned(),
            source,
        };
        let mut open = open(node).map_err(refused)?;
        open.write_all(&wish.to_ne_bytes()).map_err(refused)?;
        Ok(Self { _open: open })
    }
}

/// Opens a node as [`CpuLatency::hold`] does; alone, this asks for nothing.
///
/// # Errors
/// When it is missing or not ours to write to.
pub fn open(node: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(node)
}

/// Why idle states cannot be held shallow.
#[derive(Debug, thiserror::Error)]
#[error(
    "{node}: {source}: holding idle states shallow needs write access to it; run as root, give your group access by a udev rule (`e4 doctor` prints it), or set rt.cpu_dma_latency = \"off\"",
    node = node.display()
)]
pub struct LatencyError {
    node: PathBuf,
    source: io::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wish_is_written_as_the_kernel_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let node = folder.path().join("cpu_dma_latency");
        std::fs::write(&node, "").unwrap();
        let held = CpuLatency::hold_at(&node, 20).unwrap();
        assert_eq!(std::fs::read(&node).unwrap(), 20_i32.to_ne_bytes());
        drop(held);
    }

    #[test]
    fn a_node_that_is_missing_is_named_with_the_way_out() {
        let error = CpuLatency::hold_at(Path::new("/no/such/node"), 0).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("/no/such/node: No such file"), "{text}");
        assert!(text.contains("rt.cpu_dma_latency"), "{text}");
    }
}
