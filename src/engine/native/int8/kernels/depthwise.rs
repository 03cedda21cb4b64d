//! Depthwise convolution of one block of `4 N` channels: the bytes of up to four
//! kernel rows are zipped into quadruples once and serve every output pixel of a tile.

#![expect(
    clippy::needless_range_loop,
    reason = "a tile is written by its indices, as the arithmetic is"
)]

use super::bytes::{Bytes, Range8, requantise};

/// Rows of one block of channels; its pointers are good for all that the fields imply.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawDepthwise {
    /// The block at the first kernel tap of the first output pixel.
    pub src: *const u8,
    /// Bytes between input rows.
    pub row: usize,
    /// Bytes between input pixels.
    pub pixel: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// `[height / 4][width][4][N][4]`, zipped; missing rows are zero.
    pub weights: *const i8,
    /// `[4 N]`, zipped.
    pub bias: *const i32,
    /// `[4 N]`, zipped.
    pub scale: *const f32,
    /// The block at the first output pixel.
    pub out: *mut u8,
    /// Bytes between output rows.
    pub out_row: usize,
    /// Bytes between output pixels.
    pub out_pixel: usize,
    /// Output pixels in a row.
    pub width: usize,
    /// Output rows.
    pub height: usize,
    /// Results.
    pub range: Range8,
}

type Sums<S, const T: usize> = [[<S as Bytes>::I; 4]; T];

/// Adds kernel rows `4 g..4 g + R` of `T` output pixels from `p` on.
///
/// # Safety
/// The processor has the instructions of `S`; `p` is good for reads of the block at
/// those rows and at `(T - 1) * SX + K` pixels of each; `d` is as [`rows`] asks.
#[inline(always)]
unsafe fn gather<S: Bytes, const K: usize, const SX: usize, const T: usize, const R: usize>(
    d: &RawDepthwise,
    g: usize,
    p: *const u8,
    acc: &mut Sums<S, T>,
) {
    // SAFETY: the caller vouches for rows and pixels.
    unsafe {
        let weights = d.weights.cast::<u8>().add(g * K * 16 * S::N);
        let p = p.add(4 * g * d.row);
        for c in 0..(T - 1) * SX + K {
            let mut rows = [S::zero(); 4];
            for r in 0..R {
                rows[r] = S::load(p.add(r * d.row + c * d.pixel));
            }
            let quads = S::zip(rows);
            for t in 0..T {
                if c >= t * SX && c - t * SX < K {
                    let w = weights.add((c - t * SX) * 16 * S::N);
                    for j in 0..4 {
                        acc[t][j] = S::dot(acc[t][j], quads[j], S::load(w.add(j * 4 * S::N)));
                    }
                }
            }
        }
    }
}

/// `T` output pixels of a square kernel of 3 or 5.
///
/// # Safety
/// As for [`gather`], for all kernel rows; `out` is good for writes of the block at `T`
/// pixels.
#[inline(always)]
unsafe fn tile<S: Bytes, const K: usize, const SX: usize, const T: usize>(
    d: &RawDepthwise,
    p: *const u8,
    out: *mut u8,
) {
    // SAFETY: the caller vouches for rows and pixels.
    unsafe {
        let mut acc = start::<S, T>(d);
        if K == 3 {
            gather::<S, K, SX, T, 3>(d, 0, p, &mut acc);
        } else {
            gather::<S, K, SX, T, 4>(d, 0, p, &mut acc);
            gather::<S, K, SX, T, 1>(d, 1, p, &mut acc);
        }
        finish::<S, T>(d, &acc, out);
    }
}

/// The bias of the block, for each of `T` pixels.
///
/// # Safety
/// The processor has the instructions of `S`; `d` is as [`rows`] asks.
#[inline(always)]
unsafe fn start<S: Bytes, const T: usize>(d: &RawDepthwise) -> Sums<S, T> {
    // SAFETY: the bias is `4 N` long.
    unsafe {
        let load = |j: usize| S::load_sums(d.bias.add(j * S::N));
        [[load(0), load(1), load(2), load(3)]; T]
    }
}

/// Requantises and stores `T` pixels.
///
/// # Safety
/// The processor has the instructions of `S`; `d` is as [`rows`] asks; `out` is good
/// for writes of the block at `T` pixels.
#[inline(always)]
unsafe fn finish<S: Bytes, const T: usize>(d: &RawDepthwise, acc: &Sums<S, T>, out: *mut u8) {
    // SAFETY: the scales are `4 N` long; the caller vouches for `out`.
    unsafe {
        let load = |j: usize| S::load_floats(d.scale.add(j * S::N));
        let scale = [load(0), load(1), load(2), load(3)];
        for t in 0..T {
            let mut v = acc[t];
            for j in 0..4 {
                v[j] = requantise::<S>(acc[t][j], scale[j]);
            }
            S::store4(v, &d.range, out.add(t * d.out_pixel));
        }
    }
}

/// All rows, a square kernel of `K` (3 or 5), horizontal stride `SX`.
///
/// # Safety
/// The processor has the instructions of `S`; `K` and `SX` are the kernel's size and
/// horizontal stride of `d`; `d.src` is good for reads of `4 N` bytes at every tap of
/// every output pixel, `d.out` for writes of as many at every output pixel, the other
/// pointers of what their fields say. Nobody else touches the output meanwhile.
#[inline(always)]
pub(super) unsafe fn rows<S: Bytes, const K: usize, const SX: usize>(d: &RawDepthwise) {
    let tiles = d.width.div_ceil(S::TILE);
    for y in 0..d.height {
        for i in 0..tiles {
            let (x, end) = (d.width * i / tiles, d.width * (i + 1) / tiles);
            // SAFETY: the pixels are among those of `d`.
            unsafe {
                let p = d.src.add(y * d.stride.0 * d.row + x * SX * d.pixel);
                let out = d.out.add(y * d.out_row + x * d.out_pixel);
                match end - x {
                    4 => tile::<S, K, SX, 4>(d, p, out),
                    3 => tile::<S, K, SX, 3>(d, p, out),
                    2 => tile::<S, K, SX, 2>(d, p, out),
                    _ => tile::<S, K, SX, 1>(d, p, out),
                }
            }
        }
    }
}

/// All rows, any kernel and stride.
///
/// # Safety
/// As for [`rows`], with the kernel and stride that `d` says.
#[inline(always)]
pub(super) unsafe fn rows_of_any_kernel<S: Bytes>(d: &RawDepthwise) {
    let (height, width) = d.kernel;
    for y in 0..d.height {
        for x in 0..d.width {
            // SAFETY: the pixel is among those of `d`, the taps among its own.
            unsafe {
                let p = d.src.add(y * d.stride.0 * d.row + x * d.stride.1 * d.pixel);
                let mut acc = start::<S, 1>(d);
                for g in 0..height.div_ceil(4) {
                    for c in 0..width {
                        let mut rows = [S::zero(); 4];
                        for r in 0..4.min(height - 4 * g) {
                            rows[r] = S::load(p.add((4 * g + r) * d.row + c * d.pixel));
                        }
                        let quads = S::zip(rows);
                        let w = d.weights.cast::<u8>().add((g * width + c) * 16 * S::N);
                        for j in 0..4 {
                            let w = S::load(w.add(j * 4 * S::N));
                            acc[0][j] = S::dot(acc[0][j], quads[j], w);
                        }
                    }
                }
                finish::<S, 1>(d, &acc, d.out.add(y * d.out_row + x * d.out_pixel));
            }
        }
    }
}
