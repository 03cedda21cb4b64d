//! Announces a write in the guard file before it is made.

use super::super::sysfs::Refusal;
use super::file::{RECORD, record};
use nix::errno::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// The way to the guard file, until the clocks are given back.
#[derive(Debug)]
pub(super) struct Gate {
    file: File,
    open: bool,
}

impl Gate {
    pub(super) fn new(file: File) -> Self {
        Self { file, open: true }
    }

    /// No write from now on.
    pub(super) fn close(&mut self) {
        self.open = false;
    }
}

/// One knob's line in the guard file.
#[derive(Debug)]
pub(in super::super) struct Journal {
    gate: Arc<Mutex<Gate>>,
    offset: u64,
    /// What the file holds by our last write that came about; 0 before that.
    holds: u64,
    /// What another process has chosen since the start; 0: nothing.
    kept: u64,
}

impl Journal {
    pub(super) fn new(gate: Arc<Mutex<Gate>>, offset: u64) -> Self {
        Self {
            gate,
            offset,
            holds: 0,
            kept: 0,
        }
    }

    /// Another process has chosen `value`: with our next write, that is what the
    /// file is to be given back.
    pub(in super::super) fn keep(&mut self, value: u64) {
        self.kept = value;
    }

    /// Announces `value`, then calls `write`. Whatever happens in between, the
    /// knob's file holds one of the two values of its line, or its original.
    pub(in super::super) fn around(
        &mut self,
        value: u64,
        write: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Refusal> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if !gate.open {
            return Err(Refusal::GivenBack);
        }
        let line: [u8; RECORD] = record(self.holds, value, self.kept);
        gate.file
            .write_all_at(&line, self.offset)
            .map_err(|error| {
                let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
                Refusal::System(errno)
            })?;
        write().map_err(Refusal::System)?;
        self.holds = value;
        Ok(())
    }
}
