//! A matrix product in tiles that stay in registers: `MR` pixels by `NV`
//! vectors of output channels, over all input channels, then bias, residual and
//! activation before the only store.
//!
//! A pixel's input channels are *runs* of consecutive elements at offsets that
//! the same table gives for every pixel; pixels are a fixed number of elements
//! apart. That covers 1x1 convolutions on blocked tensors, dense convolutions
//! on padded rows, and a stem that reads a planar image.

#![expect(
    clippy::needless_range_loop,
    reason = "a tile is written by its indices, as the arithmetic is"
)]

use super::lanes::{Curve, Lanes, apply};
use super::tables::Run;

/// Pixels lie one vector apart.
pub(super) const BLOCKED: usize = 0;
/// Pixels lie [`RawGemm::pixel`] elements apart.
pub(super) const STRIDED: usize = usize::MAX;

/// Elements that weights are asked for ahead of their use: weights that the
/// last frame's other layers have pushed out of the cache come in time.
const AHEAD: usize = 1024;

/// One panel's product; its pointers are good for all that the fields imply.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawGemm {
    /// The first pixel's element 0.
    pub a: *const f32,
    /// Elements between pixels, where not [`BLOCKED`].
    pub pixel: usize,
    /// Where a pixel's input channels are.
    pub runs: *const Run,
    /// Number of runs.
    pub run_count: usize,
    /// Weights `[input channel][NV * N]`.
    pub b: *const f32,
    /// `[NV * N]`.
    pub bias: *const f32,
    /// The panel's first block of output channels.
    pub out: *mut f32,
    /// Offset of each pixel in a block of `out`.
    pub off: *const u32,
    /// Elements between blocks of `out`.
    pub plane: usize,
    /// What is added before the activation, laid out as `out`; null: nothing.
    pub residual: *const f32,
    /// Elements between blocks of `residual`.
    pub residual_plane: usize,
    /// Bounds of the result.
    pub clamp: (f32, f32),
    /// Applied after the clamp.
    pub curve: Option<Curve>,
}

/// Pixels `first..first + MR` of the product.
///
/// # Safety
/// The processor has the instructions of `S`. At pixels `first..first + MR`, `g.a`
/// is good for reads of every run, `g.b` of `NV * N` weights for each input channel,
/// `g.bias` of `NV * N`, `g.off` of the pixels' offsets; at these offsets `g.out` is
/// good for writes of one vector in each of `NV` blocks `g.plane` elements apart, and
/// `g.residual`, unless null, for reads of the same `g.residual_plane` apart. Nobody
/// else touches what is written meanwhile.
#[inline(always)]
pub(super) unsafe fn tile<S: Lanes, const MR: usize, const NV: usize, const PIXEL: usize>(
    g: &RawGemm,
    first: usize,
) {
    let pixel = match PIXEL {
        BLOCKED => S::N,
        STRIDED => g.pixel,
        fixed => fixed,
    };
    // SAFETY: the caller vouches for the pointers of `g` at these pixels; every
    // index below is one that `RawGemm` names.
    unsafe {
        let mut acc = begin::<S, MR, NV>(g, first);
        let start = g.a.add(first * pixel);
        let mut b = g.b;
        for r in 0..g.run_count {
            let run = *g.runs.add(r);
            let mut a = start.add(run.offset as usize);
            for _ in 0..run.count {
                let mut column = [S::splat(0.0); NV];
                for j in 0..NV {
                    column[j] = S::load(b.add(j * S::N));
                    S::prefetch(b.wrapping_add(AHEAD + j * S::N));
                }
                for i in 0..MR {
                    let value = S::splat(*a.add(i * pixel));
                    for j in 0..NV {
                        acc[i][j] = value.mul_add(column[j], acc[i][j]);
                    }
                }
                a = a.add(1);
                b = b.add(NV * S::N);
            }
        }
        let (lo, hi) = (S::splat(g.clamp.0), S::splat(g.clamp.1));
        for i in 0..MR {
            let out = g.out.add(*g.off.add(first + i) as usize);
            for j in 0..NV {
                acc[i][j].clamp(lo, hi).store(out.add(j * g.plane));
            }
        }
    }
}

/// The sums of a tile before the product: bias and residual.
///
/// # Safety
/// The processor has the instructions of `S`; `g.bias` is good for reads of
/// `NV * N` elements and what else it reads of `g` is as [`tile`] asks.
#[inline(always)]
unsafe fn begin<S: Lanes, const MR: usize, const NV: usize>(
    g: &RawGemm,
    first: usize,
) -> [[S; NV]; MR] {
    // SAFETY: the caller vouches for bias and residual at these pixels.
    unsafe {
        let mut acc = [[S::splat(0.0); NV]; MR];
        for j in 0..NV {
            let bias = S::load(g.bias.add(j * S::N));
            for row in &mut acc {
                row[j] = bias;
            }
        }
        if !g.residual.is_null() {
            for i in 0..MR {
                let at = *g.off.add(first + i) as usize;
                for j in 0..NV {
                    let r = S::load(g.residual.add(at + j * g.residual_plane));
                    acc[i][j] = acc[i][j].add(r);
                }
            }
        }
        acc
    }
}

/// Applies `curve` to pixels `first..end` of `nv` blocks that tiles have stored:
/// apart from them, as a tile's size is no matter here.
///
/// # Safety
/// The processor has the instructions of `S`; the pixels have been stored, as
/// [`tile`] does, and nobody else touches them meanwhile.
#[inline(always)]
pub(super) unsafe fn bend<S: Lanes>(
    g: &RawGemm,
    (first, end): (usize, usize),
    nv: usize,
    curve: Curve,
) {
    macro_rules! each {
        ($curve:expr) => {
            for j in 0..nv {
                for i in first..end {
                    // SAFETY: a tile has stored at this very place.
                    unsafe {
                        let at = g.out.add(*g.off.add(i) as usize + j * g.plane);
                        apply($curve, S::load(at)).store(at);
                    }
                }
            }
        };
    }
    match curve {
        Curve::Silu => each!(Curve::Silu),
        Curve::HardSwish => each!(Curve::HardSwish),
        other => each!(other),
    }
}
