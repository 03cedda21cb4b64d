//! The integers of a quantised convolution, in the order in which kernels stream them.

use super::super::graph::{Conv, Quant};
use super::super::kernels::Act;
use super::kernels::{Bounds, Kernels8, quantised, zipped};

/// Largest magnitude that a sum, or a scaled one, may reach.
const LIMIT: f64 = 2_147_480_000.0;

/// A convolution of 8-bit values: `bounds(round(scale * (bias + sum of stored * weight)))`.
#[derive(Clone, Debug)]
pub(super) struct Integers {
    /// `[out][in][kh][kw]`, or `[out][kh][kw]`.
    weights: Vec<i8>,
    /// `[out]`, the input's zero taken off.
    bias: Vec<i32>,
    /// `[out]`.
    scale: Vec<f32>,
    pub bounds: Bounds,
}

/// What results of `act` in steps of `quant` are.
pub(super) fn bounds(act: Act, quant: Quant) -> Bounds {
    Bounds {
        zero: quant.zero,
        lo: quantised(act.clamp.0 / quant.step, quant.zero),
        hi: quantised(act.clamp.1 / quant.step, quant.zero),
    }
}

impl Integers {
    /// The integers of `conv` from `x` to `y`; `None` where its weights are not quantised,
    /// or a sum may be too large.
    pub fn of(conv: &Conv, x: Quant, y: Quant, kernels: Kernels8) -> Option<Self> {
        let row = conv.row();
        if row == 0 || conv.steps.len() != conv.bias.len() || conv.act.curve.is_some() {
            return None;
        }
        let zero = i64::from(kernels.stored(x.zero));
        let mut integers = Self {
            weights: Vec::with_capacity(conv.weights.len()),
            bias: Vec::with_capacity(conv.bias.len()),
            scale: Vec::with_capacity(conv.bias.len()),
            bounds: bounds(conv.act, y),
        };
        let rows = conv.weights.chunks(row).zip(&conv.bias).zip(&conv.steps);
        for ((weights, bias), step) in rows {
            let before = integers.weights.len();
            for w in weights {
                integers.weights.push(whole(w / step)?);
            }
            let weights = integers.weights[before..].iter();
            let (sum, size) = weights.fold((0, 0), |(sum, size), w| {
                (sum + i64::from(*w), size + i64::from(*w).abs())
            });
            let unit = f64::from(x.step) * f64::from(*step);
            let bias = (f64::from(*bias) / unit).round();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let most = bias.abs() + (255 * size + (sum * zero).abs()) as f64;
            let scale = unit / f64::from(y.step);
            if !(most < LIMIT && most * scale.abs() < LIMIT && scale.abs() > 1e-30) {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "below the limit")]
            let (bias, scale) = (bias as i64 - sum * zero, scale as f32);
            integers.bias.push(i32::try_from(bias).ok()?);
            integers.scale.push(scale);
        }
        Some(integers)
    }
}

/// A weight as a whole number of steps.
fn whole(steps: f32) -> Option<i8> {
    let near = steps.round();
    #[expect(clippy::cast_possible_truncation, reason = "tested")]
    let whole = near as i8;
    let is_whole = (steps - near).abs() < 1e-3 && f32::from(whole).to_bits() == near.to_bits();
    // Minus zero is zero.
    (is_whole || near == 0.0).then_some(whole)
}

/// Some vectors of output channels of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panel8 {
    /// First output channel.
    pub channel: usize,
    /// Vectors.
    pub nv: usize,
    /// Where its weights begin.
    weights: usize,
}

/// A dense convolution's panels.
#[derive(Debug)]
pub(super) struct Panels8 {
    pub list: Vec<Panel8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    scale: Vec<f32>,
}

impl Panels8 {
    /// Packs `[out][in][taps]` weights as `[tap][quadruple of in]` a panel.
    pub fn pack(integers: &Integers, taps: usize, kernels: Kernels8) -> Self {
        let (lanes, out) = (kernels.lanes(), integers.bias.len());
        let row = integers.weights.len() / out;
        let inner = row / taps;
        let vectors = out.div_ceil(lanes);
        let count = vectors.div_ceil(Kernels8::MAX_NV);
        let mut panels = Self {
            list: Vec::with_capacity(count),
            weights: Vec::new(),
            bias: Vec::new(),
            scale: Vec::new(),
        };
        for panel in 0..count {
            let (from, to) = (vectors * panel / count, vectors * (panel + 1) / count);
            let (channel, nv) = (from * lanes, to - from);
            panels.list.push(Panel8 {
                channel,
                nv,
                weights: panels.weights.len(),
            });
            let order = |j: usize, i: usize| match nv {
                Kernels8::MAX_NV => channel + zipped(j, i),
                _ => channel + j * lanes + i,
            };
            let channels = || (0..nv).flat_map(|j| (0..lanes).map(move |i| order(j, i)));
            for tap in 0..taps {
                for quad in (0..inner).step_by(4) {
                    for o in channels() {
                        let weight = |k: usize| {
                            let real = o < out && k < inner;
                            real.then(|| integers.weights[o * row + k * taps + tap])
                        };
                        let four = (quad..quad + 4).map(|k| weight(k).unwrap_or(0));
                        panels.weights.extend(four);
                    }
                }
            }
            let bias = |o: usize| integers.bias.get(o).copied().unwrap_or(0);
            panels.bias.extend(channels().map(bias));
            let scale = |o: usize| integers.scale.get(o).copied().unwrap_or(1.0);
            panels.scale.extend(channels().map(scale));
        }
        panels
    }

    /// Weights, bias and scale of a panel.
    pub fn of(&self, panel: &Panel8) -> (&[i8], &[i32], &[f32]) {
        (
            self.weights.get(panel.weights..).unwrap_or_default(),
            self.bias.get(panel.channel..).unwrap_or_default(),
            self.scale.get(panel.channel..).unwrap_or_default(),
        )
    }
}

/// A block of channels of a depthwise convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block8 {
    /// First channel; blocks may overlap.
    pub channel: usize,
    /// Which of the kernels' widths.
    pub strip: usize,
    weights: usize,
    constants: usize,
}

/// A depthwise convolution's blocks.
#[derive(Debug)]
pub(super) struct Taps8 {
    pub list: Vec<Block8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    scale: Vec<f32>,
}

impl Taps8 {
    /// Packs `[out][kh][kw]` weights for pixels of `pixel` bytes.
    pub fn pack(
        integers: &Integers,
        (height, width): (usize, usize),
        pixel: usize,
        kernels: Kernels8,
    ) -> Self {
        let (out, row) = (integers.bias.len(), height * width);
        let mut taps = Self {
            list: Vec::new(),
            weights: Vec::new(),
            bias: Vec::new(),
            scale: Vec::new(),
        };
        for (channel, strip, block) in cut(out, pixel, kernels) {
            taps.list.push(Block8 {
                channel,
                strip,
                weights: taps.weights.len(),
                constants: taps.bias.len(),
            });
            let lanes = block / 4;
            let channels = || (0..4).flat_map(|j| (0..lanes).map(move |i| channel + zipped(j, i)));
            for group in (0..height).step_by(4) {
                for x in 0..width {
                    for o in channels() {
                        let weight = |y: usize| {
                            let real = o < out && y < height;
                            real.then(|| integers.weights[o * row + y * width + x])
                        };
                        let four = (group..group + 4).map(|y| weight(y).unwrap_or(0));
                        taps.weights.extend(four);
                    }
                }
            }
            let bias = |o: usize| integers.bias.get(o).copied().unwrap_or(0);
            taps.bias.extend(channels().map(bias));
            let scale = |o: usize| integers.scale.get(o).copied().unwrap_or(1.0);
            taps.scale.extend(channels().map(scale));
        }
        taps
    }

    /// Weights, bias and scale of a block.
    pub fn of(&self, block: &Block8) -> (&[i8], &[i32], &[f32]) {
        (
            self.weights.get(block.weights..).unwrap_or_default(),
            self.bias.get(block.constants..).unwrap_or_default(),
            self.scale.get(block.constants..).unwrap_or_default(),
        )
    }
}

/// Blocks that cover `out` channels: first channel, strip and width of each. A block stays
/// within the pixel, so that the last one may overlap the one before.
fn cut(out: usize, pixel: usize, kernels: Kernels8) -> Vec<(usize, usize, usize)> {
    let widths: Vec<usize> = kernels.blocks().collect();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < out {
        let rest = out - at;
        // The widest that is at least half full, or the narrowest.
        let fit = |(_, width): &(usize, usize)| *width <= pixel && rest > *width / 2;
        let all = widths.iter().copied().enumerate();
        let last = (widths.len() - 1, widths[widths.len() - 1]);
        let (strip, width) = all.clone().find(fit).unwrap_or(last);
        blocks.push((at.min(pixel - width), strip, width));
        at += width;
    }
    blocks
}
