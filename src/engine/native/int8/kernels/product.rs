//! One tile of a product: pixels times channels, a register for each vector of
//! sums, the weights streamed once, four input channels at a time.

#![expect(
    clippy::needless_range_loop,
    reason = "a tile is written by its indices, as the arithmetic is"
)]

use super::bytes::{Bytes, Range8, requantise};
use crate::engine::native::kernels::Run;

/// One panel of a product; its pointers are good for all that the fields imply.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawProduct {
    /// Input map.
    pub a: *const u8,
    /// Where each pixel's input begins, in bytes.
    pub at: *const u32,
    /// A pixel's input: offset in bytes, count in quadruples.
    pub runs: *const Run,
    /// Number of runs.
    pub run_count: usize,
    /// `[quadruples][vectors][N][4]`.
    pub weights: *const i8,
    /// `[vectors * N]`.
    pub bias: *const i32,
    /// `[vectors * N]`.
    pub scale: *const f32,
    /// Output map, at the panel's first channel.
    pub out: *mut u8,
    /// Where each pixel's output begins, in bytes.
    pub off: *const u32,
    /// Results.
    pub range: Range8,
}

/// Pixels `first..first + MR`, `NV` vectors of channels; four vectors are in zipped
/// order, fewer in their natural one.
///
/// # Safety
/// The processor has the instructions of `S`; `g.at` and `g.off` are good for reads at
/// those pixels, `g.a` at each place and run of them, `g.weights`, `g.bias` and
/// `g.scale` of what their fields say, `g.out` for writes of `NV * N` bytes at each of
/// the places, which nobody else touches meanwhile.
#[inline(always)]
pub(super) unsafe fn tile<S: Bytes, const MR: usize, const NV: usize>(
    g: &RawProduct,
    first: usize,
) {
    // SAFETY: the caller vouches for pixels, runs and panel.
    unsafe {
        let mut base = [g.a; MR];
        for i in 0..MR {
            base[i] = g.a.add(*g.at.add(first + i) as usize);
        }
        let mut acc = [[S::load_sums(g.bias); NV]; MR];
        for j in 1..NV {
            let bias = S::load_sums(g.bias.add(j * S::N));
            for row in &mut acc {
                row[j] = bias;
            }
        }
        let mut weights = g.weights.cast::<u8>();
        for r in 0..g.run_count {
            let run = *g.runs.add(r);
            let mut at = run.offset as usize;
            for _ in 0..run.count {
                let mut w = [S::zero(); NV];
                for j in 0..NV {
                    w[j] = S::load(weights.add(j * 4 * S::N));
                }
                for i in 0..MR {
                    let a = S::quad(base[i].add(at));
                    for j in 0..NV {
                        acc[i][j] = S::dot(acc[i][j], a, w[j]);
                    }
                }
                at += 4;
                weights = weights.add(NV * 4 * S::N);
            }
        }
        let mut scale = [S::splat(0.0); NV];
        for j in 0..NV {
            scale[j] = S::load_floats(g.scale.add(j * S::N));
        }
        for i in 0..MR {
            let p = g.out.add(*g.off.add(first + i) as usize);
            let mut v = [acc[i][0]; NV];
            for j in 0..NV {
                v[j] = requantise::<S>(acc[i][j], scale[j]);
            }
            if NV == 4 {
                S::store4([v[0], v[1 % NV], v[2 % NV], v[3 % NV]], &g.range, p);
            } else {
                for j in 0..NV {
                    S::store1(v[j], &g.range, p.add(j * S::N));
                }
            }
        }
    }
}
