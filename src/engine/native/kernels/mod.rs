//! The arithmetic of the native engine, once per instruction set, chosen at run
//! time.
//!
//! Guarantees: [`Kernels`] exists only for instructions that the processor has;
//! each of its methods compares the largest place that a call will touch with
//! the slices it is given, once, and refuses with [`Misfit`] what does not fit.
//! All `unsafe` of the engine is below this file. Padding lanes never reach
//! others.
//!
//! Cost: one indirect call a tile of a product, and one a block of channels for
//! the rest.

mod depthwise;
mod gemm;
mod lanes;
mod map;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod table;
mod tables;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(in crate::engine::native) use lanes::Curve;
pub(in crate::engine::native) use tables::{Offsets, Run, Runs};

use depthwise::RawDepthwise;
use gemm::RawGemm;
use map::{RawMap, RawPool};
use std::ops::Range;
use table::Table;

/// An instruction set with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, VL, DQ and BW.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// NEON.
    Neon,
    /// Whatever the compiler may assume.
    Portable,
}

impl Isa {
    /// Every one, fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
}

/// A call whose slices are too short for it: the plan and the kernels disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {0} reaches beyond its buffers")]
pub(in crate::engine::native) struct Misfit(&'static str);

impl Misfit {
    /// For a call of this name.
    pub(in crate::engine::native) fn of(name: &'static str) -> Self {
        Self(name)
    }
}

fn fits(kernel: &'static str, fits: bool) -> Result<(), Misfit> {
    if fits { Ok(()) } else { Err(Misfit(kernel)) }
}

/// The kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::native) struct Kernels {
    table: &'static Table,
}

/// How far apart the pixels of a product's input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum Pixel {
    /// One vector.
    Blocked,
    /// Two elements.
    Two,
    /// So many elements.
    Strided(usize),
}

/// What follows a product, a depthwise convolution or a pass: a clamp, then
/// perhaps a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine::native) struct Act {
    /// Bounds; infinite where there are none.
    pub clamp: (f32, f32),
    /// Applied after the clamp.
    pub curve: Option<Curve>,
}

impl Act {
    /// Nothing.
    pub const NONE: Self = Self {
        clamp: (f32::NEG_INFINITY, f32::INFINITY),
        curve: None,
    };
}

/// One panel of a product: `panel.len()` pixels, `nv` vectors of channels.
#[derive(Debug)]
pub(in crate::engine::native) struct Gemm<'a> {
    /// The first pixel's input and all that follows.
    pub a: &'a [f32],
    /// Distance of pixels in `a`.
    pub pixel: Pixel,
    /// A pixel's input.
    pub runs: &'a Runs,
    /// `[runs.total()][nv * lanes]`.
    pub weights: &'a [f32],
    /// `[nv * lanes]`.
    pub bias: &'a [f32],
    /// Vectors of output channels, at most [`Kernels::MAX_NV`].
    pub nv: usize,
    /// The first block of output channels and the next `nv - 1`.
    pub out: &'a mut [f32],
    /// Elements between blocks.
    pub plane: usize,
    /// Where each pixel goes in a block of `out`.
    pub off: &'a Offsets,
    /// Which of `off` are the pixels of this call.
    pub pixels: Range<usize>,
    /// What is added before the activation, and its blocks' distance.
    pub residual: Option<(&'a [f32], usize)>,
    /// What follows.
    pub act: Act,
}

/// Rows of a depthwise convolution, one block of channels.
#[derive(Debug)]
pub(in crate::engine::native) struct Depthwise<'a> {
    /// The block's padded rows.
    pub src: &'a [f32],
    /// Where each input row begins, left padding included.
    pub rows: &'a Offsets,
    /// Zero rows above.
    pub pad_top: usize,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// `[height][width][lanes]`.
    pub weights: &'a [f32],
    /// `[lanes]`.
    pub bias: &'a [f32],
    /// The output rows of this call.
    pub out: &'a mut [f32],
    /// Pixels in an output row.
    pub width: usize,
    /// Which output rows.
    pub ys: Range<usize>,
    /// What follows.
    pub act: Act,
    /// `[lanes]`, added to: the sum over the pixels.
    pub sum: Option<&'a mut [f32]>,
}

impl Kernels {
    /// Most vectors of output channels in a panel.
    pub const MAX_NV: usize = 3;

    /// The fastest that this processor has.
    pub fn detect() -> Self {
        let best = Isa::ALL.into_iter().find_map(Self::of);
        best.unwrap_or(Self {
            table: &table::PORTABLE,
        })
    }

    /// Those of `isa`, if this processor has it.
    pub fn of(isa: Isa) -> Option<Self> {
        table::of(isa).map(|table| Self { table })
    }

    /// Which they are.
    pub fn isa(self) -> Isa {
        self.table.isa
    }

    /// Channels in a block.
    pub fn lanes(self) -> usize {
        self.table.lanes
    }

    /// One panel of a product.
    pub fn gemm(self, g: &mut Gemm<'_>) -> Result<(), Misfit> {
        let lanes = self.lanes();
        let Some(off) = g.off.as_slice().get(g.pixels.clone()) else {
            return Err(Misfit("product"));
        };
        if off.is_empty() {
            return Ok(());
        }
        let (pixel, step) = match g.pixel {
            Pixel::Blocked => (0, lanes),
            Pixel::Two => (1, 2),
            Pixel::Strided(step) => (2, step),
        };
        let last = (off.len() - 1) * step;
        let highest = g.off.largest() + lanes;
        let blocks_fit = |len: usize, plane: usize| highest + (g.nv - 1) * plane <= len;
        let (residual, residual_plane) = match g.residual {
            Some((r, plane)) => {
                fits("residual", blocks_fit(r.len(), plane))?;
                (r.as_ptr(), plane)
            }
            None => (std::ptr::null(), 0),
        };
        fits(
            "product",
            (1..=Self::MAX_NV).contains(&g.nv)
                && last + g.runs.end() <= g.a.len()
                && g.runs.total() * g.nv * lanes <= g.weights.len()
                && g.nv * lanes <= g.bias.len()
                && blocks_fit(g.out.len(), g.plane),
        )?;
        let raw = RawGemm {
            a: g.a.as_ptr(),
            pixel: step,
            runs: g.runs.runs().as_ptr(),
            run_count: g.runs.runs().len(),
            b: g.weights.as_ptr(),
            bias: g.bias.as_ptr(),
            out: g.out.as_mut_ptr(),
            off: off.as_ptr(),
            plane: g.plane,
            residual,
            residual_plane,
            clamp: g.act.clamp,
            curve: g.act.curve,
        };
        // SAFETY: the processor has the instructions (`of`); above, every slice
        // reaches as far as the pixels, runs, offsets and blocks of the call.
        unsafe { self.table.product(&raw, pixel, g.nv, off.len()) };
        Ok(())
    }

    /// Rows of a depthwise convolution, one block of channels.
    pub fn depthwise(self, d: &mut Depthwise<'_>) -> Result<(), Misfit> {
        let lanes = self.lanes();
        let height = d.rows.len();
        if d.ys.is_empty() || d.width == 0 {
            return Ok(());
        }
        let columns = (d.width - 1) * d.stride.1 + d.kernel.1;
        let sum = match &mut d.sum {
            Some(sum) if sum.len() < lanes => return Err(Misfit("sum")),
            Some(sum) => sum.as_mut_ptr(),
            None => std::ptr::null_mut(),
        };
        fits(
            "depthwise convolution",
            d.rows.largest() + columns * lanes <= d.src.len()
                && d.kernel.0 * d.kernel.1 * lanes <= d.weights.len()
                && lanes <= d.bias.len()
                && d.ys.len() * d.width * lanes <= d.out.len(),
        )?;
        let raw = RawDepthwise {
            src: d.src.as_ptr(),
            rows: d.rows.as_slice().as_ptr(),
            height,
            pad_top: d.pad_top,
            kernel: d.kernel,
            stride: d.stride,
            weights: d.weights.as_ptr(),
            bias: d.bias.as_ptr(),
            out: d.out.as_mut_ptr(),
            width: d.width,
            first: d.ys.start,
            last: d.ys.end,
            clamp: d.act.clamp,
            curve: d.act.curve,
            sum,
        };
        // SAFETY: the processor has the instructions (`of`); above, the rows,
        // columns, weights and outputs of the call are within their slices, and
        // the kernel skips rows outside `0..height`.
        unsafe { self.table.depthwise(&raw) };
        Ok(())
    }

    /// `out = act(a + b)`, or `act(a)`; whole vectors.
    pub fn add(
        self,
        a: &[f32],
        b: Option<&[f32]>,
        out: &mut [f32],
        act: Act,
    ) -> Result<(), Misfit> {
        let n = out.len() / self.lanes();
        let long_enough = |s: &[f32]| s.len() >= out.len();
        fits("sum", long_enough(a) && b.is_none_or(long_enough))?;
        let raw = RawMap {
            a: a.as_ptr(),
            b: b.map_or(std::ptr::null(), <[f32]>::as_ptr),
            out: out.as_mut_ptr(),
            n,
            clamp: act.clamp,
            curve: act.curve,
        };
        // SAFETY: the processor has the instructions (`of`); the operands are as
        // long as the result, `n` whole vectors of it.
        unsafe { (self.table.add)(&raw) };
        Ok(())
    }

    /// `out = act(a * by)`, `by` one vector for all; whole vectors.
    pub fn scale(self, a: &[f32], by: &[f32], out: &mut [f32], act: Act) -> Result<(), Misfit> {
        let n = out.len() / self.lanes();
        fits("scaling", a.len() >= out.len() && by.len() >= self.lanes())?;
        let raw = RawMap {
            a: a.as_ptr(),
            b: by.as_ptr(),
            out: out.as_mut_ptr(),
            n,
            clamp: act.clamp,
            curve: act.curve,
        };
        // SAFETY: as for `add`; `by` is one vector.
        unsafe { (self.table.scale)(&raw) };
        Ok(())
    }

    /// `out[k] = rows[k] * by[k]`: rows of `width` vectors.
    pub fn scale_rows(
        self,
        rows: &[f32],
        by: &[f32],
        width: usize,
        out: &mut [f32],
    ) -> Result<(), Misfit> {
        let len = by.len() * width * self.lanes();
        fits("scaling", len <= rows.len() && len <= out.len())?;
        let raw = RawMap {
            a: rows.as_ptr(),
            b: by.as_ptr(),
            out: out.as_mut_ptr(),
            n: by.len(),
            clamp: Act::NONE.clamp,
            curve: None,
        };
        // SAFETY: the processor has the instructions (`of`); both slices hold
        // `by.len()` rows.
        unsafe { (self.table.scale_rows)(&raw, width) };
        Ok(())
    }

    /// `out[..lanes] = scale * sum` of a window of `src`, rows `row` elements
    /// apart.
    pub fn pool(
        self,
        src: &[f32],
        row: usize,
        window: (usize, usize),
        scale: f32,
        out: &mut [f32],
    ) -> Result<(), Misfit> {
        let lanes = self.lanes();
        let end = match window {
            (0, _) | (_, 0) => 0,
            (height, width) => (height - 1) * row + width * lanes,
        };
        fits("pool", end <= src.len() && lanes <= out.len())?;
        let raw = RawPool {
            src: src.as_ptr(),
            row,
            window,
            scale,
            out: out.as_mut_ptr(),
        };
        // SAFETY: the processor has the instructions (`of`); the window is
        // within `src`.
        unsafe { (self.table.pool)(&raw) };
        Ok(())
    }
}
