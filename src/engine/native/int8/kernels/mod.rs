//! The arithmetic of 8-bit networks, once per instruction set, chosen at run time.
//!
//! Guarantees: [`Kernels8`] exists only for instructions that the processor has; each of
//! its methods compares the largest place that a call will touch with the slices it is
//! given, once, and refuses with [`Misfit`] what does not fit. Sums are exact and
//! rounding is to the nearest, ties to even: every instruction set gives the same bytes,
//! up to the bits in which they are stored ([`Kernels8::flip`]).
//!
//! Non-guarantees: a sum beyond 31 bits wraps; the caller excludes it.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bytes;
mod calls;
mod depthwise;
mod few;
#[cfg(target_arch = "aarch64")]
mod neon;
mod passes;
mod portable;
mod product;
mod table;
#[cfg(test)]
mod tests;

pub(super) use bytes::zipped;
pub(super) use calls::{Bounds, Depthwise8, Product8, Scale8, Steps, Sum8, Window8};
pub(super) use few::quantised;

use super::super::kernels::{Isa, Misfit, Offsets, Runs};
use bytes::Range8;
use depthwise::RawDepthwise;
use few::{export_few, import_few};
use passes::{RawPlanes, RawPool, RawSum};
use product::RawProduct;
use table::Table;

/// An instruction set with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::native) enum Isa8 {
    /// AVX-512 F, VL, DQ, BW and VNNI.
    Avx512Vnni,
    /// AVX2 and AVX-VNNI.
    AvxVnni,
    /// AVX2.
    Avx2,
    /// NEON and its dot product.
    NeonDot,
    /// NEON.
    Neon,
    /// Whatever the compiler may assume.
    Portable,
}

impl Isa8 {
    /// Those that a processor may use where floats are left to `isa`, fastest first.
    pub fn within(isa: Isa) -> &'static [Self] {
        match isa {
            Isa::Avx512 => &[Self::Avx512Vnni, Self::AvxVnni, Self::Avx2],
            Isa::Avx2 => &[Self::AvxVnni, Self::Avx2],
            Isa::Neon => &[Self::NeonDot, Self::Neon],
            Isa::Portable => &[Self::Portable],
        }
    }
}

/// The kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine::native) struct Kernels8 {
    table: &'static Table,
}

fn fits(kernel: &'static str, fits: bool) -> Result<(), Misfit> {
    if fits {
        Ok(())
    } else {
        Err(Misfit::of(kernel))
    }
}

/// One past the last byte of `len` bytes at each of `(rows, pixels)`.
fn end(steps: Steps, (rows, pixels): (usize, usize), len: usize) -> usize {
    if rows == 0 || pixels == 0 {
        return 0;
    }
    (rows - 1) * steps.row + (pixels - 1) * steps.pixel + len
}

impl Kernels8 {
    /// Most vectors of output channels in a panel.
    pub const MAX_NV: usize = 4;

    /// The fastest that this processor has, where floats are left to `isa`.
    pub fn within(isa: Isa) -> Self {
        let best = Isa8::within(isa).iter().find_map(|isa| table::of(*isa));
        Self {
            table: best.unwrap_or(table::BASE),
        }
    }

    /// Those of `isa`, if this processor has it.
    #[cfg(test)]
    pub fn of(isa: Isa8) -> Option<Self> {
        table::of(isa).map(|table| Self { table })
    }

    /// Channels of a vector of sums.
    pub fn lanes(self) -> usize {
        self.table.lanes
    }

    /// Channels, or bytes, that the passes take at a time.
    pub fn group(self) -> usize {
        4 * self.table.lanes
    }

    /// A quantised value is stored with these bits flipped.
    pub fn flip(self) -> u8 {
        self.table.flip
    }

    /// Channels of the blocks that depthwise convolutions come in, widest first.
    pub fn blocks(self) -> impl Iterator<Item = usize> {
        self.table.strips.iter().map(|strip| 4 * strip.lanes)
    }

    /// A quantised value as sums of stored ones see it.
    pub fn stored(self, value: u8) -> i32 {
        i32::from(value) - i32::from(self.table.flip)
    }

    fn range(self, bounds: Bounds) -> Range8 {
        Range8 {
            zero: self.stored(bounds.zero),
            lo: self.stored(bounds.lo),
            hi: self.stored(bounds.hi),
        }
    }

    /// One panel of a product.
    pub fn product(self, g: &mut Product8<'_>) -> Result<(), Misfit> {
        let lanes = self.lanes();
        let pixels = g.pixels.end;
        fits(
            "product",
            (1..=Self::MAX_NV).contains(&g.nv)
                && g.pixels.start <= pixels
                && pixels <= g.at.len()
                && pixels <= g.off.len()
                && g.at.largest() + g.reach <= g.a.len()
                && runs_end(g.runs) <= g.reach
                && g.runs.total() * g.nv * lanes * 4 <= g.weights.len()
                && g.nv * lanes <= g.bias.len()
                && g.nv * lanes <= g.scale.len()
                && g.off.largest() + g.nv * lanes <= g.out.len(),
        )?;
        let raw = RawProduct {
            a: g.a.as_ptr(),
            at: g.at.as_slice().as_ptr(),
            runs: g.runs.runs().as_ptr(),
            run_count: g.runs.runs().len(),
            weights: g.weights.as_ptr(),
            bias: g.bias.as_ptr(),
            scale: g.scale.as_ptr(),
            out: g.out.as_mut_ptr(),
            off: g.off.as_slice().as_ptr(),
            range: self.range(g.bounds),
        };
        // SAFETY: the processor has the instructions (`of`); above, every slice reaches
        // as far as the pixels, runs, offsets and channels of the call.
        unsafe { self.table.product(&raw, g.nv, (g.pixels.start, pixels)) };
        Ok(())
    }

    /// Rows of a depthwise convolution, one block of channels.
    pub fn depthwise(self, d: &mut Depthwise8<'_>) -> Result<(), Misfit> {
        let Some(strip) = self.table.strips.get(d.strip) else {
            return Err(Misfit::of("depthwise convolution"));
        };
        let block = 4 * strip.lanes;
        let (rows, pixels) = d.size;
        if rows == 0 || pixels == 0 {
            return Ok(());
        }
        let seen = (
            (rows - 1) * d.stride.0 + d.kernel.0,
            (pixels - 1) * d.stride.1 + d.kernel.1,
        );
        fits(
            "depthwise convolution",
            d.kernel.0 > 0
                && d.kernel.1 > 0
                && end(d.from, seen, block) <= d.src.len()
                && end(d.to, d.size, block) <= d.out.len()
                && d.kernel.0.div_ceil(4) * d.kernel.1 * 4 * block <= d.weights.len()
                && block <= d.bias.len()
                && block <= d.scale.len(),
        )?;
        let raw = RawDepthwise {
            src: d.src.as_ptr(),
            row: d.from.row,
            pixel: d.from.pixel,
            kernel: d.kernel,
            stride: d.stride,
            weights: d.weights.as_ptr(),
            bias: d.bias.as_ptr(),
            scale: d.scale.as_ptr(),
            out: d.out.as_mut_ptr(),
            out_row: d.to.row,
            out_pixel: d.to.pixel,
            width: pixels,
            height: rows,
            range: self.range(d.bounds),
        };
        // SAFETY: the processor has the instructions (`of`); above, the taps, weights
        // and outputs of the call are within their slices.
        unsafe { strip.rows(&raw) };
        Ok(())
    }

    /// `out = a + b`; whole groups.
    pub fn sum(self, s: &mut Sum8<'_>) -> Result<(), Misfit> {
        let n = s.out.len() / self.group();
        fits("sum", s.a.len() >= s.out.len() && s.b.len() >= s.out.len())?;
        let raw = RawSum {
            a: s.a.as_ptr(),
            b: s.b.as_ptr(),
            out: s.out.as_mut_ptr(),
            n,
            zero: (self.stored(s.zero.0), self.stored(s.zero.1)),
            scale: s.scale,
            range: self.range(s.bounds),
        };
        // SAFETY: the processor has the instructions (`of`); the operands are as long as
        // the result, `n` whole groups of it.
        unsafe { (self.table.sum)(&raw) };
        Ok(())
    }

    fn raw_pool(self, w: &Window8<'_>) -> Result<RawPool, Misfit> {
        let pixels = i32::try_from(w.size.0 * w.size.1).map_err(|_| Misfit::of("pool"))?;
        fits(
            "pool",
            pixels < 1 << 23 && end(w.from, w.size, self.group()) <= w.src.len(),
        )?;
        Ok(RawPool {
            src: w.src.as_ptr(),
            step: (w.from.row, w.from.pixel),
            window: w.size,
            bias: -pixels * self.stored(w.zero),
            scale: w.scale,
            out: std::ptr::null_mut(),
            range: Range8 {
                zero: 0,
                lo: 0,
                hi: 0,
            },
        })
    }

    /// The scaled sum of a window, one group of channels.
    pub fn pool(self, w: &Window8<'_>, out: &mut [u8], bounds: Bounds) -> Result<(), Misfit> {
        fits("pool", self.group() <= out.len())?;
        let raw = RawPool {
            out: out.as_mut_ptr(),
            range: self.range(bounds),
            ..self.raw_pool(w)?
        };
        // SAFETY: the processor has the instructions (`of`); the window is within its
        // map, the result a group.
        unsafe { (self.table.pool)(&raw) };
        Ok(())
    }

    /// The same as floats, in zipped order.
    pub fn pool_floats(self, w: &Window8<'_>, out: &mut [f32]) -> Result<(), Misfit> {
        fits("pool", self.group() <= out.len())?;
        let raw = self.raw_pool(w)?;
        // SAFETY: as for `pool`.
        unsafe { (self.table.pool_floats)(&raw, out.as_mut_ptr()) };
        Ok(())
    }

    /// Planar floats as the first `channels.div_ceil(4) * 4` channels of a map; where
    /// there are too few for four, the last one is repeated.
    pub fn import(
        self,
        planes: &[f32],
        channels: usize,
        map: &mut [u8],
        off: &Offsets,
        scale: Scale8,
    ) -> Result<(), Misfit> {
        let pixels = off.len();
        let quads = channels.div_ceil(4);
        fits(
            "import",
            channels * pixels <= planes.len() && off.largest() + 4 * quads <= map.len(),
        )?;
        let bounds = Bounds {
            zero: scale.zero,
            lo: 0,
            hi: 255,
        };
        if pixels < self.lanes() {
            import_few(planes, channels, map, off, (scale, self.flip()));
            return Ok(());
        }
        for quad in 0..quads {
            let plane = |j: usize| &planes[(4 * quad + j).min(channels - 1) * pixels..][..pixels];
            let raw = RawPlanes {
                planes: std::array::from_fn(|j| plane(j).as_ptr().cast_mut()),
                map: map[4 * quad..].as_mut_ptr(),
                off: off.as_slice().as_ptr(),
                pixels,
                scale: scale.step,
                range: self.range(bounds),
            };
            // SAFETY: the processor has the instructions (`of`); the planes are `pixels`
            // long, at least a vector, and only read; four bytes fit in behind the
            // largest offset.
            unsafe { (self.table.import)(&raw) };
        }
        Ok(())
    }

    /// The first `channels` channels of a map as planar floats.
    pub fn export(
        self,
        map: &[u8],
        off: &Offsets,
        scale: Scale8,
        channels: usize,
        planes: &mut [f32],
    ) -> Result<(), Misfit> {
        let pixels = off.len();
        let quads = channels.div_ceil(4);
        fits(
            "export",
            channels * pixels <= planes.len() && off.largest() + 4 * quads <= map.len(),
        )?;
        if pixels < self.lanes() {
            export_few(map, off, (scale, self.flip()), channels, planes);
            return Ok(());
        }
        for quad in 0..quads {
            let real = (channels - 4 * quad).min(4);
            let first = planes[4 * quad * pixels..][..real * pixels].as_mut_ptr();
            let raw = RawPlanes {
                // Those beyond the real ones are not touched.
                planes: std::array::from_fn(|j| first.wrapping_add(j * pixels)),
                map: map[4 * quad..].as_ptr().cast_mut(),
                off: off.as_slice().as_ptr(),
                pixels,
                scale: scale.step,
                range: Range8 {
                    zero: self.stored(scale.zero),
                    lo: 0,
                    hi: 0,
                },
            };
            // SAFETY: the processor has the instructions (`of`); `real` planes are
            // `pixels` long, at least a vector; the map is only read, four bytes from
            // each offset on.
            unsafe { (self.table.export)(&raw, real) };
        }
        Ok(())
    }
}

/// One past the last byte that a run names.
fn runs_end(runs: &Runs) -> usize {
    let ends = runs
        .runs()
        .iter()
        .map(|r| r.offset as usize + 4 * r.count as usize);
    ends.max().unwrap_or(0)
}
