//! Every node as ONNX words it, on planar floats, one output element at a time with sums
//! in double precision: what the kernels are compared with, and what runs a node of an
//! 8-bit network that no kernel takes.
//!
//! Guarantees: allocates nothing. Cost: a node takes a hundred times as long as in a
//! kernel.

use super::super::graph::{Conv, Op, Pool, Quant, Reach, Tensor, Window};
use super::super::kernels::{Act, Curve};

/// A planar map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes<'a> {
    pub values: &'a [f32],
    pub size: Tensor,
}

/// What a node reads: its inputs, then residual and gate of a convolution.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reads<'a> {
    pub inputs: [Option<Planes<'a>>; 2],
    pub residual: Option<Planes<'a>>,
    pub gate: Option<Planes<'a>>,
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `act(x)`.
pub(super) fn act(act: Act, x: f32) -> f32 {
    let x = x.max(act.clamp.0).min(act.clamp.1);
    let ramp = |alpha: f32, beta: f32| (alpha * x + beta).clamp(0.0, 1.0);
    match act.curve {
        None => x,
        Some(Curve::Sigmoid) => sigmoid(x),
        Some(Curve::Silu) => x * sigmoid(x),
        Some(Curve::HardSigmoid { alpha, beta }) => ramp(alpha, beta),
        Some(Curve::HardSwish) => x * ramp(1.0 / 6.0, 0.5),
    }
}

/// QuantizeLinear, the result as a number.
pub(super) fn quantise(x: f32, quant: Quant) -> f32 {
    ((x / quant.step).round_ties_even() + f32::from(quant.zero)).clamp(0.0, 255.0)
}

/// DequantizeLinear of such a number.
pub(super) fn dequantise(value: f32, quant: Quant) -> f32 {
    (value - f32::from(quant.zero)) * quant.step
}

/// Computes `op` into the planar `out` of `size`; a node without its inputs computes
/// nothing.
pub(super) fn compute(op: &Op, reads: &Reads<'_>, out: &mut [f32], size: Tensor) {
    let [Some(x), y] = reads.inputs else { return };
    let pixels = size.pixels().max(1);
    let each = |out: &mut [f32], f: &dyn Fn(usize, f32) -> f32| {
        for (i, (to, from)) in out.iter_mut().zip(x.values).enumerate() {
            *to = f(i, *from);
        }
    };
    let at = |y: Option<Planes<'_>>, i: usize| y.map_or(0.0, |y| y.values[i]);
    match op {
        Op::Conv(conv) => convolve(conv, x, reads, out, size),
        Op::Affine { scale, shift } => {
            each(out, &|i, x| scale[i / pixels] * x + shift[i / pixels]);
        }
        Op::Act(a) => each(out, &|_, x| act(*a, x)),
        Op::Add(a) => each(out, &|i, x| act(*a, x + at(y, i))),
        Op::Gate(a) => each(out, &|i, x| act(*a, x * at(y, i / pixels))),
        Op::Pool(pool) => average(pool, x, out, size),
        Op::Quantise(quant) => each(out, &|_, x| quantise(x, *quant)),
        Op::Dequantise(quant) => each(out, &|_, x| dequantise(x, *quant)),
    }
}

/// Calls `visit` with each tap in the image: row and column of the kernel, and of the
/// image.
fn taps(
    window: &Window,
    of: Tensor,
    (oy, ox): (usize, usize),
    mut visit: impl FnMut((usize, usize), (usize, usize)),
) {
    let inside = |o: usize, stride: usize, k: usize, pad: usize, size: usize| {
        (o * stride + k).checked_sub(pad).filter(|i| *i < size)
    };
    for ky in 0..window.kernel.0 {
        let y = inside(oy, window.stride.0, ky, window.pads.top, of.h);
        for kx in 0..window.kernel.1 {
            let x = inside(ox, window.stride.1, kx, window.pads.left, of.w);
            if let (Some(y), Some(x)) = (y, x) {
                visit((ky, kx), (y, x));
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the result is a float")]
fn convolve(conv: &Conv, x: Planes<'_>, reads: &Reads<'_>, out: &mut [f32], size: Tensor) {
    let (of, kw) = (x.size, conv.window.kernel.1);
    let row = conv.row();
    let channels = match conv.reach {
        Reach::Dense => of.c,
        Reach::Depthwise => 1,
    };
    for (o, result) in out.iter_mut().enumerate() {
        let (channel, p) = (o / size.pixels(), o % size.pixels());
        let weights = &conv.weights[channel * row..(channel + 1) * row];
        let mut sum = f64::from(conv.bias[channel]);
        taps(
            &conv.window,
            of,
            (p / size.w, p % size.w),
            |(ky, kx), (y, x_at)| {
                for i in 0..channels {
                    let from = if channels == 1 && conv.reach == Reach::Depthwise {
                        channel
                    } else {
                        i
                    };
                    let gate = reads.gate.map_or(1.0, |g| g.values[from]);
                    let value = x.values[from * of.pixels() + y * of.w + x_at] * gate;
                    let tap = i * row / channels + ky * kw + kx;
                    sum += f64::from(weights[tap]) * f64::from(value);
                }
            },
        );
        if let Some(residual) = reads.residual {
            sum += f64::from(residual.values[o]);
        }
        *result = act(conv.act, sum as f32);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the result is a float; a window has far fewer than 2^24 pixels"
)]
fn average(pool: &Pool, x: Planes<'_>, out: &mut [f32], size: Tensor) {
    for (o, result) in out.iter_mut().enumerate() {
        let (channel, p) = (o / size.pixels(), o % size.pixels());
        let (mut sum, mut count) = (0.0_f64, 0_usize);
        taps(
            &pool.window,
            x.size,
            (p / size.w, p % size.w),
            |_, (y, x_at)| {
                sum += f64::from(x.values[channel * x.size.pixels() + y * x.size.w + x_at]);
                count += 1;
            },
        );
        if pool.count_padding {
            count = pool.window.kernel.0 * pool.window.kernel.1;
        }
        *result = (sum / count as f64) as f32;
    }
}
