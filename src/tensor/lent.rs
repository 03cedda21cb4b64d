//! A frame's samples in memory that a driver owns.
//!
//! Guarantees: the memory stays mapped for as long as any frame refers to it,
//! whatever becomes of the device; a surface is handed out only where its rows
//! lie within the memory. Moving a frame moves references, never samples.
//!
//! Not guaranteed: that the driver leaves the memory alone. That is the source's
//! part: it gives a buffer back to the driver only while it holds the slot that
//! refers to it, and slots cannot be copied.

use super::frame::SurfaceSize;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// Memory that stays where it is for as long as the value lives.
pub trait Memory: Send + Sync + Debug {
    /// All of it.
    fn bytes(&self) -> &[u8];
}

/// One surface in a driver's memory.
#[derive(Clone, Debug)]
pub struct LentSurface {
    /// The memory it lies in.
    pub memory: Arc<dyn Memory>,
    /// Where in it.
    pub bytes: Range<usize>,
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// The surfaces of a frame, in the order of its format.
#[derive(Debug)]
pub struct Lent {
    surfaces: Vec<LentSurface>,
}

/// Rows of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rows<'a> {
    /// The samples; row `y` begins at `y * stride`.
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl Lent {
    /// A frame's surfaces, at most three.
    #[must_use]
    pub fn new(surfaces: Vec<LentSurface>) -> Self {
        Self { surfaces }
    }

    /// The surface of that number begins at byte `start` of its memory; false
    /// where there is none, or no such byte.
    pub fn begin_at(&mut self, index: usize, start: usize) -> bool {
        let surface = self.surfaces.get_mut(index);
        let within = surface.filter(|surface| start <= surface.bytes.end);
        within.map(|surface| surface.bytes.start = start).is_some()
    }

    /// The surfaces, if they are as large as `sizes` says.
    pub(super) fn surfaces(&self, sizes: &[SurfaceSize; 3]) -> Option<[Rows<'_>; 3]> {
        let mut all = [Rows::default(); 3];
        for (index, (rows, size)) in all.iter_mut().zip(sizes).enumerate() {
            if size.rows == 0 || size.row_bytes == 0 {
                continue;
            }
            let surface = self.surfaces.get(index)?;
            let bytes = surface.memory.bytes().get(surface.bytes.clone())?;
            let needed = surface.stride.checked_mul(size.rows - 1)?;
            if surface.stride < size.row_bytes
                || bytes.len() < needed.checked_add(size.row_bytes)?
            {
                return None;
            }
            *rows = Rows {
                bytes,
                stride: surface.stride,
            };
        }
        Some(all)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::tensor::{Frame, FrameMeta, PixelFormat};

    #[derive(Debug)]
    struct Heap(Vec<u8>);

    impl Memory for Heap {
        fn bytes(&self) -> &[u8] {
            &self.0
        }
    }

    fn nv12(luma: usize, stride: usize) -> Frame {
        let memory: Arc<dyn Memory> = Arc::new(Heap((0..100).collect()));
        let surface = |bytes: Range<usize>| LentSurface {
            memory: memory.clone(),
            bytes,
            stride,
        };
        Frame {
            meta: FrameMeta {
                width: 4,
                height: 2,
                format: PixelFormat::Nv12,
                ..FrameMeta::default()
            },
            data: Vec::new(),
            lent: Some(Lent::new(vec![surface(0..luma), surface(50..56)])),
        }
    }

    #[test]
    fn a_copy_is_packed_and_its_own() {
        let copy = nv12(16, 6).clone();
        assert!(copy.lent.is_none());
        assert_eq!(copy.data, [0, 1, 2, 3, 6, 7, 8, 9, 50, 51, 52, 53]);
    }

    #[test]
    fn the_last_row_needs_no_padding_but_all_its_samples() {
        assert!(nv12(10, 6).surfaces().is_some());
        assert!(nv12(9, 6).surfaces().is_none());
        assert!(nv12(16, 3).surfaces().is_none(), "rows that overlap");
    }

    #[test]
    fn a_surface_that_is_missing_or_outside_is_no_picture() {
        let mut frame = nv12(16, 6);
        frame.meta.format = PixelFormat::I420;
        assert!(frame.surfaces().is_none());
        assert!(nv12(101, 6).surfaces().is_none());
    }
}
