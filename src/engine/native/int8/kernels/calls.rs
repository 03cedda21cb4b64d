//! What the safe calls are given: slices, and distances within them.

use super::super::super::kernels::{Offsets, Runs};
use std::ops::Range;

/// Where results end up, in quantised values: what 0.0 is, least and largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) struct Bounds {
    /// What 0.0 is.
    pub zero: u8,
    /// Least result.
    pub lo: u8,
    /// Largest result.
    pub hi: u8,
}

/// Pixels of some panels of a product.
#[derive(Debug)]
pub(in crate::engine::native) struct Product8<'a> {
    /// Input map.
    pub a: &'a [u8],
    /// Where each pixel's input begins.
    pub at: &'a Offsets,
    /// A pixel's input: offsets in bytes, counts in quadruples of bytes.
    pub runs: &'a Runs,
    /// One past the last byte of a pixel's input.
    pub reach: usize,
    /// `[quadruples][nv][lanes][4]`.
    pub weights: &'a [i8],
    /// `[nv * lanes]`.
    pub bias: &'a [i32],
    /// `[nv * lanes]`.
    pub scale: &'a [f32],
    /// Vectors of output channels, at most [`MAX_NV`](super::Kernels8::MAX_NV).
    pub nv: usize,
    /// Output map, from the panel's first channel on.
    pub out: &'a mut [u8],
    /// Where each pixel's output begins.
    pub off: &'a Offsets,
    /// Which pixels.
    pub pixels: Range<usize>,
    /// What results are.
    pub bounds: Bounds,
}

/// A rectangle of pixels in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) struct Steps {
    /// Bytes between rows.
    pub row: usize,
    /// Bytes between pixels.
    pub pixel: usize,
}

/// Rows of a depthwise convolution, one block of channels.
#[derive(Debug)]
pub(in crate::engine::native) struct Depthwise8<'a> {
    /// Which of [`blocks`](super::Kernels8::blocks).
    pub strip: usize,
    /// The block, from the first tap of the first output pixel on.
    pub src: &'a [u8],
    /// Distances in `src`.
    pub from: Steps,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// `[height / 4][width][4][lanes][4]`, zipped.
    pub weights: &'a [i8],
    /// `[4 lanes]`, zipped.
    pub bias: &'a [i32],
    /// `[4 lanes]`, zipped.
    pub scale: &'a [f32],
    /// The block, from the first output pixel on.
    pub out: &'a mut [u8],
    /// Distances in `out`.
    pub to: Steps,
    /// Output rows and pixels in each.
    pub size: (usize, usize),
    /// What results are.
    pub bounds: Bounds,
}

/// Two operands of a sum.
#[derive(Debug)]
pub(in crate::engine::native) struct Sum8<'a> {
    /// First operand.
    pub a: &'a [u8],
    /// Second operand.
    pub b: &'a [u8],
    /// Result; whole groups of [`group`](super::Kernels8::group).
    pub out: &'a mut [u8],
    /// What 0.0 is in the operands.
    pub zero: (u8, u8),
    /// What a step of the operands is in steps of the result.
    pub scale: (f32, f32),
    /// What results are.
    pub bounds: Bounds,
}

/// A window of a map, [`group`](super::Kernels8::group) channels of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::native) struct Window8<'a> {
    /// The map from the window's first pixel and channel on.
    pub src: &'a [u8],
    /// Distances in it.
    pub from: Steps,
    /// Rows and columns.
    pub size: (usize, usize),
    /// What 0.0 is.
    pub zero: u8,
    /// The sum is multiplied by this.
    pub scale: f32,
}

/// What a quantised map is in floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine::native) struct Scale8 {
    /// What 0.0 is.
    pub zero: u8,
    /// A step.
    pub step: f32,
}
