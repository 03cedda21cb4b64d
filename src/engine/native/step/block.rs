//! A depthwise convolution with what makes its input and what reads its output,
//! a strip of rows at a time, so that the widest tensors of a network never
//! leave the cache: expand, depthwise, project.
//!
//! The depthwise input lives in a ring of padded rows. A 1x1 producer fills a
//! panel of channels, and those channels are convolved while they are hot.

use super::super::graph::Window;
use super::super::kernels::{Act, Depthwise, Kernels, Misfit, Offsets, Pixel, Runs};
use super::super::map::{Map, Slot};
use super::super::pack::{Panels, Taps};
use super::dense::{Dense, Target};
use super::product::{Part, own_slot, residual};
use super::{Scene, StepError};
use std::ops::Range;

/// What makes the depthwise convolution's input.
#[derive(Debug)]
pub(in super::super) enum Source {
    /// A 1x1 convolution of a map.
    Pointwise {
        x: Map,
        runs: Runs,
        panels: Panels,
        act: Act,
        /// Where each of its pixels goes in the ring.
        off: Offsets,
    },
    /// Any other convolution that mixes channels.
    Dense(Box<Dense>),
    /// The map itself.
    Copy(Map),
}

/// A 1x1 convolution of the depthwise output.
#[derive(Debug)]
pub(in super::super) struct Project {
    /// Room for a strip of the depthwise output.
    pub strip: Slot,
    /// Elements between blocks of the strip.
    pub plane: usize,
    pub runs: Runs,
    pub panels: Panels,
    pub act: Act,
    pub residual: Option<Map>,
    pub off: Offsets,
}

/// The step.
#[derive(Debug)]
pub(in super::super) struct Block {
    pub source: Source,
    /// Channels, rows and columns of the depthwise input.
    pub shape: (usize, usize, usize),
    pub lanes: usize,
    pub ring: Slot,
    /// Rows in the ring.
    pub capacity: usize,
    /// Elements of a padded row.
    pub pitch: usize,
    /// Elements between blocks of the ring.
    pub ring_plane: usize,
    /// Blocks in the ring: all, or those of one panel where the ring holds the
    /// whole image.
    pub ring_blocks: usize,
    /// Where each input row is in a block of the ring.
    pub rows: Offsets,
    pub window: Window,
    pub taps: Taps,
    pub act: Act,
    /// Rows and columns of the depthwise output.
    pub size: (usize, usize),
    /// Output rows at a time.
    pub strip_rows: usize,
    /// The mean of the depthwise output over its pixels.
    pub mean: Option<Map>,
    /// What the block makes: the depthwise output, or its projection.
    pub out: Map,
    pub project: Option<Project>,
}

/// The places of a run.
struct Places<'a> {
    source: &'a [f32],
    ring: &'a mut [f32],
    dense_ring: &'a mut [f32],
    /// The depthwise output, and the elements between its blocks.
    output: &'a mut [f32],
    plane: usize,
    mean: &'a mut [f32],
}

impl Block {
    pub fn run(&mut self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let x = match &self.source {
            Source::Pointwise { x, .. } | Source::Copy(x) => Some(*x),
            Source::Dense(dense) => dense.x,
        };
        let dense_ring = match &self.source {
            Source::Dense(dense) => Some(dense.ring),
            _ => None,
        };
        let project = self.project.as_ref();
        let added = project.and_then(|p| p.residual);
        let own = match &x {
            Some(x) => own_slot(added.as_ref(), x),
            None => added.map(|r| r.slot),
        };
        let ([source, ring, dense_ring, strip, out, own, mean], input) = scene.take([
            x.map(|x| x.slot),
            Some(self.ring),
            dense_ring,
            project.map(|p| p.strip),
            Some(self.out.slot),
            own,
            self.mean.map(|m| m.slot),
        ])?;
        let source: &[f32] = if x.is_some() { source } else { input };
        let added = match &x {
            Some(x) => residual(added.as_ref(), x, source, own),
            None => added.map(|r| (&*own, r.plane)),
        };
        mean.fill(0.0);
        self.zero_columns(ring);
        let (mut made, mut filled) = (0, 0);
        for first in (0..self.size.0).step_by(self.strip_rows.max(1)) {
            let ys = first..(first + self.strip_rows).min(self.size.0);
            let (output, plane) = match &self.project {
                Some(project) => (&mut *strip, project.plane),
                None => {
                    let done = first * self.size.1 * self.lanes;
                    (&mut out[done..], self.out.plane)
                }
            };
            let mut places = Places {
                source,
                ring: &mut *ring,
                dense_ring: &mut *dense_ring,
                output,
                plane,
                mean: &mut *mean,
            };
            self.strip(kernels, &mut places, ys.clone(), &mut made, &mut filled)?;
            if let Some(project) = &self.project {
                let part = Part {
                    a: strip,
                    pixel: Pixel::Blocked,
                    runs: &project.runs,
                    panels: &project.panels,
                    weights: &project.panels.weights,
                    plane: self.out.plane,
                    off: &project.off,
                    pixels: ys.start * self.size.1..ys.end * self.size.1,
                    residual: added,
                    act: project.act,
                };
                part.all(kernels, out)?;
            }
        }
        self.divide(mean);
        Ok(())
    }

    /// Zeros left and right of every row of the ring.
    fn zero_columns(&self, ring: &mut [f32]) {
        let left = self.window.pads.left * self.lanes;
        let right = left + self.shape.2 * self.lanes;
        for block in ring.chunks_mut(self.ring_plane) {
            for row in block.chunks_exact_mut(self.pitch) {
                row[..left].fill(0.0);
                row[right..].fill(0.0);
            }
        }
    }

    /// Sums to means.
    #[expect(
        clippy::cast_precision_loss,
        reason = "far fewer than 2^24 pixels matter"
    )]
    fn divide(&self, sums: &mut [f32]) {
        let by = 1.0 / (self.size.0 * self.size.1) as f32;
        sums.iter_mut().for_each(|sum| *sum *= by);
    }

    /// Makes the input rows that output rows `ys` need, from row `made` on, and
    /// convolves them.
    fn strip(
        &mut self,
        kernels: Kernels,
        places: &mut Places<'_>,
        ys: Range<usize>,
        made: &mut usize,
        filled: &mut usize,
    ) -> Result<(), Misfit> {
        let bottom = (ys.end - 1) * self.window.stride.0 + self.window.kernel.0;
        let need = bottom
            .saturating_sub(self.window.pads.top)
            .min(self.shape.1);
        let fresh = *made..need.max(*made);
        *made = fresh.end;
        let blocks = self.shape.0.div_ceil(self.lanes);
        match &mut self.source {
            Source::Pointwise { .. } => return self.panels(kernels, places, &ys, &fresh),
            Source::Dense(dense) => {
                let mut target = Target {
                    out: places.ring,
                    plane: self.ring_plane,
                    residual: None,
                };
                let (source, ring) = (places.source, &mut *places.dense_ring);
                dense.rows(kernels, source, ring, &mut target, fresh, filled)?;
            }
            Source::Copy(x) => {
                let x = *x;
                fresh.for_each(|iy| self.copy(&x, places, iy));
            }
        }
        for block in 0..blocks {
            self.convolve(kernels, places, block, block, ys.clone())?;
        }
        Ok(())
    }

    /// Panel by panel: the rows `fresh` of a panel's channels, then their
    /// convolution.
    fn panels(
        &self,
        kernels: Kernels,
        places: &mut Places<'_>,
        ys: &Range<usize>,
        fresh: &Range<usize>,
    ) -> Result<(), Misfit> {
        let Source::Pointwise {
            x,
            runs,
            panels,
            act,
            off,
        } = &self.source
        else {
            return Ok(());
        };
        let width = self.shape.2;
        let first = fresh.start * width;
        let part = Part {
            a: places.source.get(first * x.lanes..).unwrap_or_default(),
            pixel: Pixel::Blocked,
            runs,
            panels,
            weights: &panels.weights,
            plane: self.ring_plane,
            off,
            pixels: first..fresh.end * width,
            residual: None,
            act: *act,
        };
        for panel in &panels.list {
            let home = if self.ring_blocks < self.shape.0.div_ceil(self.lanes) {
                0
            } else {
                panel.block
            };
            let ring = places.ring.get_mut(home * self.ring_plane..);
            part.panel(kernels, panel, ring.unwrap_or_default())?;
            for i in 0..panel.nv {
                self.convolve(kernels, places, panel.block + i, home + i, ys.clone())?;
            }
        }
        Ok(())
    }

    /// Copies input row `iy` of every block into the ring.
    fn copy(&self, x: &Map, places: &mut Places<'_>, iy: usize) {
        let len = x.w * self.lanes;
        let row = iy % self.capacity * self.pitch + self.window.pads.left * self.lanes;
        for block in 0..x.blocks() {
            let from = block * x.plane + iy * len;
            let to = block * self.ring_plane + row;
            places.ring[to..to + len].copy_from_slice(&places.source[from..from + len]);
        }
    }

    /// Output rows `ys` of `block`, whose input is block `home` of the ring.
    fn convolve(
        &self,
        kernels: Kernels,
        places: &mut Places<'_>,
        block: usize,
        home: usize,
        ys: Range<usize>,
    ) -> Result<(), Misfit> {
        let lanes = self.lanes;
        let taps = self.window.kernel.0 * self.window.kernel.1 * lanes;
        let start = home * self.ring_plane;
        let sum = match self.mean {
            Some(_) => places.mean.get_mut(block * lanes..(block + 1) * lanes),
            None => None,
        };
        let output = places.output.get_mut(block * places.plane..);
        kernels.depthwise(&mut Depthwise {
            src: places.ring.get(start..).unwrap_or_default(),
            rows: &self.rows,
            pad_top: self.window.pads.top,
            kernel: self.window.kernel,
            stride: self.window.stride,
            weights: &self.taps.weights[block * taps..(block + 1) * taps],
            bias: &self.taps.bias[block * lanes..(block + 1) * lanes],
            out: output.unwrap_or_default(),
            width: self.size.1,
            ys,
            act: self.act,
            sum,
        })
    }
}
