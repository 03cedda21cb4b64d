//! Frames as a source delivers them, the slots they live in, and the pass that
//! turns one into the network's input tensor.

#[cfg(not(loom))]
pub mod convert;
pub mod frame;
pub mod lent;
pub mod memory;
pub mod slots;

pub use frame::{Colour, Frame, FrameMeta, Matrix, PixelFormat, Range, SurfaceSize, Transfer};
pub use lent::{Lent, LentSurface, Memory, Rows};
pub use slots::{PoolId, Slot, SlotPool};
