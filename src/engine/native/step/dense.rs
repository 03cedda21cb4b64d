//! A convolution that mixes channels with a kernel of any size, row by row: the
//! input rows that a kernel meets lie in a small ring with zeros around them, so
//! that the product reads them in place.

use super::super::graph::Window;
use super::super::kernels::{Act, Kernels, Misfit, Offsets, Pixel, Runs};
use super::super::map::{Map, Slot};
use super::super::pack::Panels;
use super::product::{Part, Residual, own_slot, residual};
use super::{Scene, StepError};
use std::ops::Range;

/// A dense convolution of rows; where they go is its user's choice.
#[derive(Debug)]
pub(in super::super) struct Dense {
    /// The input; `None`: the network's own, planar.
    pub x: Option<Map>,
    /// Rows and columns of the input.
    pub size: (usize, usize),
    /// Columns of the output.
    pub width: usize,
    pub window: Window,
    pub ring: Slot,
    /// Channels, or blocks of them.
    pub units: usize,
    /// Elements of a pixel of a unit.
    pub lane: usize,
    /// Elements of a padded row.
    pub pitch: usize,
    /// A pixel's input, moved from row to row.
    pub runs: Runs,
    pub pixel: Pixel,
    pub panels: Panels,
    /// Where each output pixel goes.
    pub off: Offsets,
    pub act: Act,
}

/// Where a row of results goes.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub out: &'a mut [f32],
    pub plane: usize,
    pub residual: Residual<'a>,
}

impl Dense {
    /// Elements between units: a ring of kernel rows, and a row of zeros.
    pub fn unit(&self) -> usize {
        (self.window.kernel.0 + 1) * self.pitch
    }

    /// Elements of the ring.
    pub fn ring_len(&self) -> usize {
        self.units * self.unit()
    }

    /// Computes output rows `ys`; `filled` input rows are in the ring already.
    pub(super) fn rows(
        &mut self,
        kernels: Kernels,
        source: &[f32],
        ring: &mut [f32],
        target: &mut Target<'_>,
        ys: Range<usize>,
        filled: &mut usize,
    ) -> Result<(), Misfit> {
        if ys.start == 0 {
            ring.fill(0.0);
            *filled = 0;
        }
        let (kernel, pads) = (self.window.kernel, self.window.pads);
        for y in ys {
            let top = y * self.window.stride.0;
            let need = (top + kernel.0).saturating_sub(pads.top).min(self.size.0);
            for iy in *filled..need {
                self.fill(source, ring, iy);
            }
            *filled = need.max(*filled);
            self.relocate(top);
            let part = Part {
                a: ring,
                pixel: self.pixel,
                runs: &self.runs,
                panels: &self.panels,
                weights: &self.panels.weights,
                plane: target.plane,
                off: &self.off,
                pixels: y * self.width..(y + 1) * self.width,
                residual: target.residual,
                act: self.act,
            };
            part.all(kernels, target.out)?;
        }
        Ok(())
    }

    /// Copies input row `iy` of every unit into the ring.
    fn fill(&self, source: &[f32], ring: &mut [f32], iy: usize) {
        let (h, w) = self.size;
        let plane = self.x.map_or(h * w, |x| x.plane);
        let len = w * self.lane;
        let slot = iy % self.window.kernel.0 * self.pitch + self.window.pads.left * self.lane;
        for unit in 0..self.units {
            let from = unit * plane + iy * len;
            let to = unit * self.unit() + slot;
            ring[to..to + len].copy_from_slice(&source[from..from + len]);
        }
    }

    /// Points the runs at the input rows from `top` (counted with the padding)
    /// on; those outside the image are the row of zeros.
    fn relocate(&mut self, top: usize) {
        let (kernel, pads) = (self.window.kernel, self.window.pads);
        let (h, unit, pitch, lane) = (self.size.0, self.unit(), self.pitch, self.lane);
        let row = |ky: usize| {
            let inside = (top + ky).checked_sub(pads.top).filter(|iy| *iy < h);
            inside.map_or(kernel.0, |iy| iy % kernel.0) * pitch
        };
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        if lane == 1 {
            let units = 0..self.units;
            let places = units.flat_map(|u| (0..kernel.0).map(move |ky| place(u * unit + row(ky))));
            self.runs.relocate(places);
        } else {
            let units = self.units;
            let places = (0..kernel.0).flat_map(|ky| {
                let row = row(ky);
                (0..kernel.1)
                    .flat_map(move |kx| (0..units).map(move |u| place(u * unit + row + kx * lane)))
            });
            self.runs.relocate(places);
        }
    }
}

/// The step: a dense convolution into a whole map.
#[derive(Debug)]
pub(in super::super) struct DenseStep {
    pub dense: Dense,
    pub out: Map,
    pub residual: Option<Map>,
}

impl DenseStep {
    pub fn run(&mut self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let x = self.dense.x;
        let own = match &x {
            Some(x) => own_slot(self.residual.as_ref(), x),
            None => self.residual.map(|r| r.slot),
        };
        let slots = [
            x.map(|x| x.slot),
            Some(self.dense.ring),
            Some(self.out.slot),
            own,
        ];
        let ([source, ring, out, own], input) = scene.take(slots)?;
        let (source, residual): (&[f32], _) = match &x {
            Some(x) => (source, residual(self.residual.as_ref(), x, source, own)),
            None => (input, self.residual.map(|r| (&*own, r.plane))),
        };
        let mut target = Target {
            out,
            plane: self.out.plane,
            residual,
        };
        let ys = 0..self.out.h;
        Ok(self
            .dense
            .rows(kernels, source, ring, &mut target, ys, &mut 0)?)
    }
}
