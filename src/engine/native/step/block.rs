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
use super::product::{Part, Residual, own_slot, residual};
use super::{Scene, StepError};
use std::ops::Range;

/// What makes the depthwise convolution's input.
#[derive(Debug)]
pub(in super::super) enum Source {
    /// A 1x1 convolution of a map.
    Pointwise(Box<Pointwise>),
    /// Any other convolution that mixes channels.
    Dense(Box<Dense>),
    /// The map itself.
    Copy(Map),
}

/// A 1x1 convolution into the ring.
#[derive(Debug)]
pub(in super::super) struct Pointwise {
    pub x: Map,
    pub runs: Runs,
    pub panels: Panels,
    pub act: Act,
    /// Where each of its pixels goes in the ring.
    pub off: Offsets,
}

/// Padded rows of the depthwise input, `[block][row][column][lane]`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Ring {
    pub slot: Slot,
    /// Rows.
    pub capacity: usize,
    /// Elements of a row.
    pub pitch: usize,
    /// Elements of the zeros at its left.
    pub left: usize,
    /// Elements between blocks.
    pub plane: usize,
    /// Blocks: all, or those of one panel where the ring holds the whole image.
    pub blocks: usize,
    pub lanes: usize,
}

impl Ring {
    /// Where input row `iy` begins in a block.
    pub fn row(&self, iy: usize) -> usize {
        iy % self.capacity * self.pitch
    }

    /// Zeros left and right of every row; `len` elements lie between.
    fn zero_columns(&self, ring: &mut [f32], len: usize) {
        for block in ring.chunks_mut(self.plane) {
            for row in block.chunks_exact_mut(self.pitch) {
                row[..self.left].fill(0.0);
                row[self.left + len..].fill(0.0);
            }
        }
    }
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
    pub ring: Ring,
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

/// The places of a run, and how far it is.
struct Places<'a> {
    source: &'a [f32],
    ring: &'a mut [f32],
    dense_ring: &'a mut [f32],
    mean: &'a mut [f32],
    /// Input rows that have been made.
    made: usize,
    /// Rows of a dense producer's own input that are in its ring.
    filled: usize,
}

/// Where a strip of the depthwise output goes.
struct Output<'a> {
    out: &'a mut [f32],
    /// Elements between blocks.
    plane: usize,
    /// Output rows.
    ys: Range<usize>,
}

impl Block {
    /// The map that the block reads, and the ring of a dense producer.
    fn input(&self) -> (Option<Map>, Option<Slot>) {
        match &self.source {
            Source::Pointwise(source) => (Some(source.x), None),
            Source::Copy(x) => (Some(*x), None),
            Source::Dense(dense) => (dense.x, Some(dense.ring)),
        }
    }

    pub fn run(&mut self, scene: &mut Scene<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let (x, dense_ring) = self.input();
        let added = self.project.as_ref().and_then(|p| p.residual);
        let own = match &x {
            Some(x) => own_slot(added.as_ref(), x),
            None => added.map(|r| r.slot),
        };
        let ([source, ring, dense_ring, strip, out, own, mean], input) = scene.take([
            x.map(|x| x.slot),
            Some(self.ring.slot),
            dense_ring,
            self.project.as_ref().map(|p| p.strip),
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
        let row = self.shape.2 * self.ring.lanes;
        self.ring.zero_columns(ring, row);
        let mut places = Places {
            source,
            ring,
            dense_ring,
            mean,
            made: 0,
            filled: 0,
        };
        let (rows, height) = (self.strip_rows.max(1), self.size.0);
        for first in (0..height).step_by(rows) {
            let ys = first..(first + rows).min(height);
            self.advance(kernels, &mut places, (strip, out), added, ys)?;
        }
        self.divide(places.mean);
        Ok(())
    }

    /// One strip, projected where the block projects.
    fn advance(
        &mut self,
        kernels: Kernels,
        places: &mut Places<'_>,
        (strip, out): (&mut [f32], &mut [f32]),
        residual: Residual<'_>,
        ys: Range<usize>,
    ) -> Result<(), Misfit> {
        let pixels = ys.start * self.size.1..ys.end * self.size.1;
        let (to, plane) = match &self.project {
            Some(project) => (&mut *strip, project.plane),
            None => (&mut out[pixels.start * self.ring.lanes..], self.out.plane),
        };
        let mut output = Output { out: to, plane, ys };
        self.strip(kernels, places, &mut output)?;
        let Some(project) = &self.project else {
            return Ok(());
        };
        let part = Part {
            a: strip,
            pixel: Pixel::Blocked,
            runs: &project.runs,
            panels: &project.panels,
            weights: &project.panels.weights,
            plane: self.out.plane,
            off: &project.off,
            pixels,
            residual,
            act: project.act,
        };
        part.all(kernels, out)
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

    /// Makes the input rows that a strip needs, and convolves them.
    fn strip(
        &mut self,
        kernels: Kernels,
        places: &mut Places<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Misfit> {
        let bottom = (output.ys.end - 1) * self.window.stride.0 + self.window.kernel.0;
        let need = bottom
            .saturating_sub(self.window.pads.top)
            .min(self.shape.1);
        let fresh = places.made..need.max(places.made);
        places.made = fresh.end;
        match &mut self.source {
            Source::Pointwise(_) => return self.panels(kernels, places, output, &fresh),
            Source::Dense(dense) => {
                let mut target = Target {
                    out: places.ring,
                    plane: self.ring.plane,
                    residual: None,
                };
                let (source, ring) = (places.source, &mut *places.dense_ring);
                dense.rows(
                    kernels,
                    source,
                    ring,
                    &mut target,
                    fresh,
                    &mut places.filled,
                )?;
            }
            Source::Copy(x) => {
                let x = *x;
                fresh.for_each(|iy| self.copy(&x, places, iy));
            }
        }
        (0..self.blocks())
            .try_for_each(|block| self.convolve(kernels, places, output, block, block))
    }

    /// Blocks of channels of the depthwise convolution.
    fn blocks(&self) -> usize {
        self.shape.0.div_ceil(self.ring.lanes)
    }

    /// Panel by panel: the rows `fresh` of a panel's channels, then their
    /// convolution.
    fn panels(
        &self,
        kernels: Kernels,
        places: &mut Places<'_>,
        output: &mut Output<'_>,
        fresh: &Range<usize>,
    ) -> Result<(), Misfit> {
        let Source::Pointwise(source) = &self.source else {
            return Ok(());
        };
        let width = self.shape.2;
        let pixels = fresh.start * width..fresh.end * width;
        let first = pixels.start * source.x.lanes;
        let part = Part {
            a: places.source.get(first..).unwrap_or_default(),
            pixel: Pixel::Blocked,
            runs: &source.runs,
            panels: &source.panels,
            weights: &source.panels.weights,
            plane: self.ring.plane,
            off: &source.off,
            pixels,
            residual: None,
            act: source.act,
        };
        let one_panel = self.ring.blocks < self.blocks();
        for panel in &source.panels.list {
            let home = if one_panel { 0 } else { panel.block };
            let ring = places.ring.get_mut(home * self.ring.plane..);
            part.panel(kernels, panel, ring.unwrap_or_default())?;
            for i in 0..panel.nv {
                self.convolve(kernels, places, output, panel.block + i, home + i)?;
            }
        }
        Ok(())
    }

    /// Copies input row `iy` of every block into the ring.
    fn copy(&self, x: &Map, places: &mut Places<'_>, iy: usize) {
        let len = x.w * self.ring.lanes;
        let row = self.ring.row(iy) + self.ring.left;
        for block in 0..x.blocks() {
            let from = block * x.plane + iy * len;
            let to = block * self.ring.plane + row;
            places.ring[to..to + len].copy_from_slice(&places.source[from..from + len]);
        }
    }

    /// A strip of `block`, whose input is block `home` of the ring.
    fn convolve(
        &self,
        kernels: Kernels,
        places: &mut Places<'_>,
        output: &mut Output<'_>,
        block: usize,
        home: usize,
    ) -> Result<(), Misfit> {
        let lanes = self.ring.lanes;
        let taps = self.window.kernel.0 * self.window.kernel.1 * lanes;
        let sum = match self.mean {
            Some(_) => places.mean.get_mut(block * lanes..(block + 1) * lanes),
            None => None,
        };
        let out = output.out.get_mut(block * output.plane..);
        let src = places.ring.get(home * self.ring.plane..);
        kernels.depthwise(&mut Depthwise {
            src: src.unwrap_or_default(),
            rows: &self.rows,
            pad_top: self.window.pads.top,
            kernel: self.window.kernel,
            stride: self.window.stride,
            weights: &self.taps.weights[block * taps..(block + 1) * taps],
            bias: &self.taps.bias[block * lanes..(block + 1) * lanes],
            out: out.unwrap_or_default(),
            width: self.size.1,
            ys: output.ys.clone(),
            act: self.act,
            sum,
        })
    }
}
