//! Convolutions over whole maps.

use super::super::super::graph::Window;
use super::super::super::kernels::{Offsets, Runs};
use super::super::kernels::{Bounds, Depthwise8, Product8};
use super::super::map::Map8;
use super::super::pack::{Panels8, Taps8};
use super::{Scene8, StepError, bytes};

/// A dense convolution.
#[derive(Debug)]
pub(in super::super) struct Product {
    pub x: Map8,
    pub out: Map8,
    /// Where each output pixel's input begins.
    pub at: Offsets,
    /// A pixel's input, in quadruples of bytes.
    pub runs: Runs,
    /// One past the last byte of a pixel's input.
    pub reach: usize,
    pub panels: Panels8,
    pub off: Offsets,
    pub bounds: Bounds,
    /// Pixels that pass through all panels at a time.
    pub chunk: usize,
}

impl Product {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([x, out], _) = scene.take([Some(self.x.slot), Some(self.out.slot)])?;
        let (x, out) = (bytes(x), bytes(out));
        self.out.fill_border(out, kernels.flip());
        let pixels = self.off.len();
        for first in (0..pixels).step_by(self.chunk.max(1)) {
            for panel in &self.panels.list {
                let (weights, bias, scale) = self.panels.of(panel);
                kernels.product(&mut Product8 {
                    a: x,
                    at: &self.at,
                    runs: &self.runs,
                    reach: self.reach,
                    weights,
                    bias,
                    scale,
                    nv: panel.nv,
                    out: out.get_mut(panel.channel..).unwrap_or_default(),
                    off: &self.off,
                    pixels: first..pixels.min(first + self.chunk),
                    bounds: self.bounds,
                })?;
            }
        }
        Ok(())
    }
}

/// A depthwise convolution.
#[derive(Debug)]
pub(in super::super) struct Depthwise {
    pub x: Map8,
    pub out: Map8,
    pub window: Window,
    pub taps: Taps8,
    pub bounds: Bounds,
}

impl Depthwise {
    pub fn run(&self, scene: &mut Scene8<'_>) -> Result<(), StepError> {
        let kernels = scene.kernels;
        let ([x, out], _) = scene.take([Some(self.x.slot), Some(self.out.slot)])?;
        let (x, out) = (bytes(x), bytes(out));
        self.out.fill_border(out, kernels.flip());
        let from = self.x.corner(self.window.pads);
        let to = self.out.at(0, 0);
        for block in &self.taps.list {
            let (weights, bias, scale) = self.taps.of(block);
            kernels.depthwise(&mut Depthwise8 {
                strip: block.strip,
                src: x.get(from + block.channel..).unwrap_or_default(),
                from: self.x.steps(),
                kernel: self.window.kernel,
                stride: self.window.stride,
                weights,
                bias,
                scale,
                out: out.get_mut(to + block.channel..).unwrap_or_default(),
                to: self.out.steps(),
                size: (self.out.size.h, self.out.size.w),
                bounds: self.bounds,
            })?;
        }
        Ok(())
    }
}
