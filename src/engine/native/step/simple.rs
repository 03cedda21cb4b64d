//! The steps that take one pass over a map.

use super::super::graph::Pool;
use super::super::kernels::Act;
use super::super::map::Map;
use super::product::own_slot;
use super::{Scene, StepError};

/// The network's planar input as a blocked map.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Import {
    pub out: Map,
}

impl Import {
    pub fn run(self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let ([out], input) = scene.take([Some(self.out.slot)])?;
        self.out.read_planar(input, out);
        Ok(())
    }
}

/// A sum of two maps, or an activation of one.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sum {
    pub a: Map,
    pub b: Option<Map>,
    pub out: Map,
    pub act: Act,
}

impl Sum {
    pub fn run(self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let own = own_slot(self.b.as_ref(), &self.a);
        let ([a, own, out], _) = scene.take([Some(self.a.slot), own, Some(self.out.slot)])?;
        let b = self
            .b
            .map(|b| if b.slot == self.a.slot { &*a } else { &*own });
        let used = self.out.pixels() * self.out.lanes;
        let (plane, blocks) = (self.out.plane, self.out.blocks());
        for start in (0..blocks).map(|block| block * plane) {
            let end = start + used;
            let b = b.map(|b| &b[start..end]);
            kernels.add(&a[start..end], b, &mut out[start..end], self.act)?;
        }
        Ok(())
    }
}

/// A map times one factor per channel.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Gate {
    pub x: Map,
    pub by: Map,
    pub out: Map,
    pub act: Act,
}

impl Gate {
    pub fn run(self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let own = own_slot(Some(&self.by), &self.x);
        let ([x, own, out], _) = scene.take([Some(self.x.slot), own, Some(self.out.slot)])?;
        let by = if self.by.slot == self.x.slot {
            &*x
        } else {
            &*own
        };
        let (lanes, plane) = (self.out.lanes, self.out.plane);
        let used = self.out.pixels() * lanes;
        for block in 0..self.out.blocks() {
            let place = block * plane..block * plane + used;
            let by = &by[block * lanes..(block + 1) * lanes];
            kernels.scale(&x[place.clone()], by, &mut out[place], self.act)?;
        }
        Ok(())
    }
}

/// Averages over windows.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct PoolStep {
    pub x: Map,
    pub out: Map,
    pub pool: Pool,
}

impl PoolStep {
    pub fn run(self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([x, out], _) = scene.take([Some(self.x.slot), Some(self.out.slot)])?;
        let lanes = self.x.lanes;
        for block in 0..self.x.blocks() {
            let x = &x[block * self.x.plane..];
            let out = &mut out[block * self.out.plane..];
            for oy in 0..self.out.h {
                for ox in 0..self.out.w {
                    let (from, window, scale) = self.meeting(oy, ox);
                    let at = (oy * self.out.w + ox) * lanes;
                    let row = self.x.w * lanes;
                    kernels.pool(&x[from * lanes..], row, window, scale, &mut out[at..])?;
                }
            }
        }
        Ok(())
    }

    /// First pixel, size and factor of the window at output pixel `(oy, ox)`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "far fewer than 2^24 pixels matter"
    )]
    fn meeting(self, oy: usize, ox: usize) -> (usize, (usize, usize), f32) {
        let window = self.pool.window;
        let along = |o: usize, stride: usize, kernel: usize, pad: usize, size: usize| {
            let from = (o * stride).saturating_sub(pad).min(size);
            let to = (o * stride + kernel).saturating_sub(pad).min(size);
            (from, to - from)
        };
        let pads = window.pads;
        let (y, rows) = along(oy, window.stride.0, window.kernel.0, pads.top, self.x.h);
        let (x, columns) = along(ox, window.stride.1, window.kernel.1, pads.left, self.x.w);
        let count = if self.pool.count_padding {
            window.kernel.0 * window.kernel.1
        } else {
            rows * columns
        };
        (y * self.x.w + x, (rows, columns), 1.0 / count as f32)
    }
}
