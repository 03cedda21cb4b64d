//! 8-bit feature maps in memory: `[row][pixel][channel]`, with a border of zeros around
//! the image where a convolution reads one.

use super::super::graph::{Pads, Quant, Tensor};
use super::super::kernels::Offsets;
use super::super::map::Slot;
use super::kernels::Steps;

/// Bytes of a pixel are a multiple of it, so that whole vectors of channels fit in.
const PIXEL: usize = 16;

/// Least bytes of a pixel.
const MIN_PIXEL: usize = 32;

/// Bytes behind a map, so that a vector may be read at its last pixel.
const SLACK: usize = 64;

/// A map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Map8 {
    pub slot: Slot,
    pub size: Tensor,
    pub quant: Quant,
    /// Pixels around the image that hold the zero.
    pub pads: Pads,
    /// Bytes of a pixel.
    pub pixel: usize,
}

impl Map8 {
    /// A map of `size` with a border of `pads`; where `tight`, a pixel is as small as whole
    /// quadruples of channels allow, for readers that take nothing larger.
    pub fn new(slot: Slot, size: Tensor, quant: Quant, pads: Pads, tight: bool) -> Self {
        let pixel = if tight {
            size.c.next_multiple_of(4)
        } else {
            size.c.next_multiple_of(PIXEL).max(MIN_PIXEL)
        };
        Self {
            slot,
            size,
            quant,
            pads,
            pixel,
        }
    }

    /// Bytes of a row, border included.
    pub fn row(&self) -> usize {
        (self.pads.left + self.size.w + self.pads.right).saturating_mul(self.pixel)
    }

    /// Distances within the map.
    pub fn steps(&self) -> Steps {
        Steps {
            row: self.row(),
            pixel: self.pixel,
        }
    }

    /// Bytes, border and slack included.
    pub fn len(&self) -> usize {
        let rows = self.pads.top + self.size.h + self.pads.bottom;
        self.row().saturating_mul(rows).saturating_add(SLACK)
    }

    /// Where pixel `(y, x)` begins; `(0, 0)` is the image's first one.
    pub fn at(&self, y: usize, x: usize) -> usize {
        (self.pads.top + y) * self.row() + (self.pads.left + x) * self.pixel
    }

    /// Where the first tap of a window with `pads` begins.
    pub fn corner(&self, pads: Pads) -> usize {
        let (top, left) = (self.pads.top - pads.top, self.pads.left - pads.left);
        top * self.row() + left * self.pixel
    }

    /// Where each pixel begins.
    pub fn offsets(&self) -> Offsets {
        let at = |p: usize| u32::try_from(self.at(p / self.size.w, p % self.size.w)).ok();
        Offsets::new((0..self.size.pixels()).filter_map(at).collect())
    }

    /// Fills the border with zeros.
    pub fn fill_border(&self, map: &mut [u8], flip: u8) {
        let zero = self.quant.zero ^ flip;
        let (row, pads) = (self.row(), self.pads);
        let rows = pads.top..pads.top + self.size.h;
        map[..rows.start * row].fill(zero);
        map[rows.end * row..(rows.end + pads.bottom) * row].fill(zero);
        if pads.left + pads.right > 0 {
            for y in rows {
                map[y * row..y * row + pads.left * self.pixel].fill(zero);
                map[(y + 1) * row - pads.right * self.pixel..(y + 1) * row].fill(zero);
            }
        }
    }
}
