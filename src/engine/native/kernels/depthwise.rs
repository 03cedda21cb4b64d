//! Depthwise convolution of one block of channels, row by row, on rows that
//! carry their own zero columns: a tile of up to eight output pixels keeps its
//! sums in registers while it walks the kernel.

#![expect(
    clippy::needless_range_loop,
    reason = "a tile is written by its indices, as the arithmetic is"
)]

use super::lanes::{Curve, Lanes};
use super::map::bend_and_sum;

/// Rows of one block of channels; its pointers are good for all that the fields
/// imply.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawDepthwise {
    /// The block's padded rows.
    pub src: *const f32,
    /// Offset of each of the `height` input rows.
    pub rows: *const u32,
    /// Input rows.
    pub height: usize,
    /// Zero rows above the first.
    pub pad_top: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// `[kernel height][kernel width][N]`.
    pub weights: *const f32,
    /// `[N]`.
    pub bias: *const f32,
    /// Output row `first`.
    pub out: *mut f32,
    /// Output pixels in a row.
    pub width: usize,
    /// First output row.
    pub first: usize,
    /// One past the last output row.
    pub last: usize,
    /// Bounds of the result.
    pub clamp: (f32, f32),
    /// Applied after the clamp.
    pub curve: Option<Curve>,
    /// `[N]`, added to: the sum over the pixels; null: not wanted.
    pub sum: *mut f32,
}

/// The kernel rows that meet the image at output row `y`, and the first of the
/// input rows that they meet.
#[inline(always)]
fn meeting(d: &RawDepthwise, y: usize) -> (usize, usize, usize) {
    let top = y * d.stride.0;
    let from = d.pad_top.saturating_sub(top).min(d.kernel.0);
    let to = (d.height + d.pad_top).saturating_sub(top).min(d.kernel.0);
    (from, to.max(from), (top + from).saturating_sub(d.pad_top))
}

/// Output pixels `x..x + T` of one row, kernel width `K`, horizontal stride `SD`.
///
/// # Safety
/// The processor has the instructions of `S` and
/// `d` is as [`rows`] asks, `row..row + (to - from)` are among its
/// input rows, `x + T <= d.width`, and `out` is the start of one of its output rows.
#[inline(always)]
unsafe fn tile<S: Lanes, const K: usize, const SD: usize, const T: usize>(
    d: &RawDepthwise,
    (from, to, row): (usize, usize, usize),
    x: usize,
    out: *mut f32,
) {
    // SAFETY: the caller vouches for rows `row..` and pixels `x..x + T`.
    unsafe {
        let mut acc = [S::load(d.bias); T];
        for ky in from..to {
            let mut w = [S::splat(0.0); K];
            for kx in 0..K {
                w[kx] = S::load(d.weights.add((ky * K + kx) * S::N));
            }
            let offset = *d.rows.add(row + ky - from) as usize;
            let p = d.src.add(offset + x * SD * S::N);
            for i in 0..(T - 1) * SD + K {
                let v = S::load(p.add(i * S::N));
                for t in 0..T {
                    if i >= t * SD && i - t * SD < K {
                        acc[t] = v.mul_add(w[i - t * SD], acc[t]);
                    }
                }
            }
        }
        let (lo, hi) = (S::splat(d.clamp.0), S::splat(d.clamp.1));
        for t in 0..T {
            acc[t].clamp(lo, hi).store(out.add((x + t) * S::N));
        }
    }
}

/// All rows, kernel width `K` and horizontal stride `SD`.
///
/// # Safety
/// The processor has the instructions of `S`, `K` and `SD` are the
/// kernel's width and the horizontal stride of `d`;
/// `d.rows` is good for reads of `d.height` offsets, `d.src` at each of them of a whole
/// padded row, `d.weights` and `d.bias` of what their fields say; `d.out` is good for
/// reads and writes of rows `d.first..d.last` of `d.width` vectors, `d.sum`, unless
/// null, of one vector. Nobody else touches `d.out` and `d.sum` meanwhile.
#[inline(always)]
pub(super) unsafe fn rows<S: Lanes, const K: usize, const SD: usize>(d: &RawDepthwise) {
    let tiles = d.width.div_ceil(8);
    let mut out = d.out;
    for y in d.first..d.last {
        let met = meeting(d, y);
        for i in 0..tiles {
            let (x, end) = (d.width * i / tiles, d.width * (i + 1) / tiles);
            // SAFETY: the pixels are within the row, the rows are met ones.
            unsafe {
                match end - x {
                    8 => tile::<S, K, SD, 8>(d, met, x, out),
                    7 => tile::<S, K, SD, 7>(d, met, x, out),
                    6 => tile::<S, K, SD, 6>(d, met, x, out),
                    5 => tile::<S, K, SD, 5>(d, met, x, out),
                    4 => tile::<S, K, SD, 4>(d, met, x, out),
                    3 => tile::<S, K, SD, 3>(d, met, x, out),
                    2 => tile::<S, K, SD, 2>(d, met, x, out),
                    _ => tile::<S, K, SD, 1>(d, met, x, out),
                }
            }
        }
        // SAFETY: the row has just been stored; `sum` is null or a vector.
        out = unsafe { finish::<S>(d, out) };
    }
}

/// Activation and sum of the row at `out`; returns the next row.
///
/// # Safety
/// The processor has the instructions of `S` and `d` is as [`rows`] asks;
/// `out` is the start of one of its output rows, stored in full.
#[inline(always)]
unsafe fn finish<S: Lanes>(d: &RawDepthwise, out: *mut f32) -> *mut f32 {
    // SAFETY: the caller has stored `width` pixels there.
    unsafe {
        if d.curve.is_some() || !d.sum.is_null() {
            bend_and_sum::<S>(out, d.width, d.curve, d.sum);
        }
        out.add(d.width * S::N)
    }
}

/// All rows, any kernel and stride.
///
/// # Safety
/// As for [`rows`], with the kernel and stride that `d` says.
#[inline(always)]
pub(super) unsafe fn rows_of_any_kernel<S: Lanes>(d: &RawDepthwise) {
    let mut out = d.out;
    for y in d.first..d.last {
        let met = meeting(d, y);
        let mut x = 0;
        while x < d.width {
            // SAFETY: the pixels are within the row, the rows are met ones.
            unsafe {
                if x + 4 <= d.width {
                    any_tile::<S, 4>(d, met, x, out);
                    x += 4;
                } else {
                    any_tile::<S, 1>(d, met, x, out);
                    x += 1;
                }
            }
        }
        // SAFETY: the row has just been stored; `sum` is null or a vector.
        out = unsafe { finish::<S>(d, out) };
    }
}

/// Output pixels `x..x + T` of one row, any kernel width and stride.
///
/// # Safety
/// The processor has the instructions of `S` and
/// `d` is as [`rows`] asks, `row..row + (to - from)` are among its
/// input rows, `x + T <= d.width`, and `out` is the start of one of its output rows.
#[inline(always)]
unsafe fn any_tile<S: Lanes, const T: usize>(
    d: &RawDepthwise,
    (from, to, row): (usize, usize, usize),
    x: usize,
    out: *mut f32,
) {
    let (width, stride) = (d.kernel.1, d.stride.1);
    // SAFETY: the caller vouches for rows `row..` and pixels `x..x + T`.
    unsafe {
        let mut acc = [S::load(d.bias); T];
        for ky in from..to {
            let offset = *d.rows.add(row + ky - from) as usize;
            let p = d.src.add(offset + x * stride * S::N);
            for kx in 0..width {
                let w = S::load(d.weights.add((ky * width + kx) * S::N));
                for t in 0..T {
                    let v = S::load(p.add((t * stride + kx) * S::N));
                    acc[t] = v.mul_add(w, acc[t]);
                }
            }
        }
        let (lo, hi) = (S::splat(d.clamp.0), S::splat(d.clamp.1));
        for t in 0..T {
            acc[t].clamp(lo, hi).store(out.add((x + t) * S::N));
        }
    }
}
