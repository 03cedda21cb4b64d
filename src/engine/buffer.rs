//! The memory that segments read and write. It belongs to the caller, is made
//! by an engine, and is inside a segment only between `enqueue` and `wait`.

use super::EngineError;
use std::any::Any;
use std::fmt::Debug;

/// Memory that an engine reads and writes; made by
/// [`Engine::buffer`](super::Engine::buffer).
#[derive(Debug)]
pub enum Buffer {
    /// Host memory.
    Host(Vec<f32>),
    /// Memory of a device, with its own way back to the host.
    Device(Box<dyn DeviceBuffer>),
}

/// Device memory behind a [`Buffer`]. `Any` lets an engine tell its own buffers
/// from another engine's.
pub trait DeviceBuffer: Any + Send + Debug {
    /// Number of f32 elements.
    fn len(&self) -> usize;
    /// True when it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Copies the device's memory into `host`, of the same length.
    ///
    /// # Errors
    /// When the length is another or the device fails.
    fn read(&self, host: &mut [f32]) -> Result<(), EngineError>;
    /// Copies `host`, of the same length, into the device's memory.
    ///
    /// # Errors
    /// When the length is another or the device fails.
    fn write(&mut self, host: &[f32]) -> Result<(), EngineError>;
}

impl Buffer {
    /// Number of f32 elements.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Host(values) => values.len(),
            Self::Device(device) => device.len(),
        }
    }

    /// True when it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements, where they lie in host memory: the way to spare the copy
    /// that [`read_into`](Self::read_into) makes.
    #[must_use]
    pub fn as_host(&self) -> Option<&[f32]> {
        match self {
            Self::Host(values) => Some(values),
            Self::Device(_) => None,
        }
    }

    /// The elements for writing, where they lie in host memory.
    #[must_use]
    pub fn as_host_mut(&mut self) -> Option<&mut [f32]> {
        match self {
            Self::Host(values) => Some(values),
            Self::Device(_) => None,
        }
    }

    /// Copies the elements into `host`, of the same length.
    ///
    /// # Errors
    /// When the length is another or the device fails.
    pub fn read_into(&self, host: &mut [f32]) -> Result<(), EngineError> {
        same_length(self.len(), host.len())?;
        match self {
            Self::Host(values) => {
                host.copy_from_slice(values);
                Ok(())
            }
            Self::Device(device) => device.read(host),
        }
    }

    /// Copies `host`, of the same length, into the buffer.
    ///
    /// # Errors
    /// When the length is another or the device fails.
    pub fn write_from(&mut self, host: &[f32]) -> Result<(), EngineError> {
        same_length(self.len(), host.len())?;
        match self {
            Self::Host(values) => {
                values.copy_from_slice(host);
                Ok(())
            }
            Self::Device(device) => device.write(host),
        }
    }
}

fn same_length(buffer: usize, host: usize) -> Result<(), EngineError> {
    if buffer == host {
        Ok(())
    } else {
        Err(EngineError::Length { buffer, host })
    }
}
