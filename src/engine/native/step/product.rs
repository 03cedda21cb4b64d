//! A 1x1 convolution, or a fully connected layer, over a whole map.

use super::super::kernels::{Act, Gemm, Kernels, Misfit, Offsets, Pixel, Runs};
use super::super::map::{Map, Slot};
use super::super::pack::{Panel, Panels};
use super::{Scene, StepError};
use std::ops::Range;

/// A gate of the input, one factor per channel.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Gating {
    /// The factors.
    pub by: Map,
    /// Room for what is scaled.
    pub scratch: Slot,
    /// What is scaled.
    pub scaled: Scaled,
}

/// What a gate scales: whichever of the two is smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Scaled {
    /// A copy of the weights.
    Weights,
    /// A copy of the input.
    Input,
}

/// The step.
#[derive(Debug)]
pub(in super::super) struct Product {
    pub x: Map,
    pub out: Map,
    pub runs: Runs,
    pub off: Offsets,
    pub panels: Panels,
    pub act: Act,
    pub residual: Option<Map>,
    pub gate: Option<Gating>,
}

/// A map as a product adds it: its elements and the distance of its blocks.
pub(super) type Residual<'a> = Option<(&'a [f32], usize)>;

/// The residual's elements, which may be those of the input `x`.
pub(super) fn residual<'a>(
    map: Option<&Map>,
    x: &Map,
    input: &'a [f32],
    own: &'a [f32],
) -> Residual<'a> {
    map.map(|map| {
        let elements = if map.slot == x.slot { input } else { own };
        (elements, map.plane)
    })
}

/// The slot of a residual that is not the input itself.
pub(super) fn own_slot(map: Option<&Map>, x: &Map) -> Option<Slot> {
    map.map(|map| map.slot).filter(|slot| *slot != x.slot)
}

/// One panel of a product, on pixels that a table names.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub a: &'a [f32],
    pub pixel: Pixel,
    pub runs: &'a Runs,
    pub panels: &'a Panels,
    pub weights: &'a [f32],
    pub plane: usize,
    pub off: &'a Offsets,
    pub pixels: Range<usize>,
    pub residual: Residual<'a>,
    pub act: Act,
}

impl Part<'_> {
    /// Multiplies `panel` into `out`, which begins at the panel's first block.
    pub fn panel(&self, kernels: Kernels, panel: &Panel, out: &mut [f32]) -> Result<(), Misfit> {
        let residual = self
            .residual
            .map(|(r, plane)| (r.get(panel.block * plane..).unwrap_or_default(), plane));
        kernels.gemm(&mut Gemm {
            a: self.a,
            pixel: self.pixel,
            runs: self.runs,
            weights: self.panels.weights_of(panel, self.weights),
            bias: self.panels.bias_of(panel),
            nv: panel.nv,
            out,
            plane: self.plane,
            off: self.off,
            pixels: self.pixels.clone(),
            residual,
            act: self.act,
        })
    }

    /// Multiplies all panels into `out`, which begins at block 0.
    pub fn all(&self, kernels: Kernels, out: &mut [f32]) -> Result<(), Misfit> {
        for panel in &self.panels.list {
            let out = out.get_mut(panel.block * self.plane..).unwrap_or_default();
            self.panel(kernels, panel, out)?;
        }
        Ok(())
    }
}

impl Product {
    pub fn run(&self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([x, out, own, by, scratch], _) = scene.take([
            Some(self.x.slot),
            Some(self.out.slot),
            own_slot(self.residual.as_ref(), &self.x),
            self.gate.map(|g| g.by.slot),
            self.gate.map(|g| g.scratch),
        ])?;
        let (mut a, mut weights): (&[f32], &[f32]) = (x, &self.panels.weights);
        match self.gate.map(|g| g.scaled) {
            Some(Scaled::Input) => {
                self.scale_input(kernels, x, by, scratch)?;
                a = scratch;
            }
            Some(Scaled::Weights) => {
                self.scale_weights(kernels, by, scratch)?;
                weights = scratch;
            }
            None => {}
        }
        let part = Part {
            a,
            pixel: Pixel::Blocked,
            runs: &self.runs,
            panels: &self.panels,
            weights,
            plane: self.out.plane,
            off: &self.off,
            pixels: 0..self.off.len(),
            residual: residual(self.residual.as_ref(), &self.x, x, own),
            act: self.act,
        };
        Ok(part.all(kernels, out)?)
    }

    fn scale_input(
        &self,
        kernels: Kernels,
        x: &[f32],
        by: &[f32],
        scaled: &mut [f32],
    ) -> Result<(), Misfit> {
        let (plane, lanes) = (self.x.plane, self.x.lanes);
        let used = self.x.pixels() * lanes;
        let blocks = x.chunks(plane).zip(scaled.chunks_mut(plane));
        for ((from, to), by) in blocks.zip(by.chunks(lanes)) {
            kernels.scale(from, by, &mut to[..used], Act::NONE)?;
        }
        Ok(())
    }

    fn scale_weights(
        &self,
        kernels: Kernels,
        by: &[f32],
        scaled: &mut [f32],
    ) -> Result<(), Misfit> {
        let by = &by[..self.panels.inner];
        for panel in &self.panels.list {
            let weights = self.panels.weights_of(panel, &self.panels.weights);
            kernels.scale_rows(weights, by, panel.nv, &mut scaled[panel.at..])?;
        }
        Ok(())
    }
}
