//! YUV to RGB, and RGB to what the network takes.

use super::super::{Colour, Matrix, Range};
use crate::engine::bundle::InputSpec;

/// `R = luma * (Y - black) + red_v * (V - 128)`, and so on.
#[derive(Clone, Copy, Debug)]
pub(super) struct YuvToRgb {
    black: f32,
    luma: f32,
    red_v: f32,
    green_u: f32,
    green_v: f32,
    blue_u: f32,
}

impl YuvToRgb {
    /// The coefficients of a matrix and range.
    pub(super) fn new(colour: Colour) -> Self {
        let (red, blue): (f64, f64) = match colour.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt2020 => (0.2627, 0.0593),
            Matrix::Smpte240m => (0.212, 0.087),
        };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = match colour.range {
            Range::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            Range::Full => (0.0, 1.0, 1.0),
        };
        let (v, u) = (2.0 * (1.0 - red) * chroma, 2.0 * (1.0 - blue) * chroma);
        Self {
            black,
            luma: narrow(luma),
            red_v: narrow(v),
            green_u: narrow(u * blue / green),
            green_v: narrow(v * red / green),
            blue_u: narrow(u),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a coefficient below 3")]
fn narrow(coefficient: f64) -> f32 {
    coefficient as f32
}

/// `(x - mean) / std` per channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Normalise {
    mean: [f32; 3],
    std: [f32; 3],
}

impl Normalise {
    pub(super) fn new(input: &InputSpec) -> Self {
        Self {
            mean: input.mean,
            std: input.std,
        }
    }

    #[inline(always)]
    fn channel(&self, channel: usize, value: f32) -> f32 {
        (value.clamp(0.0, 255.0) - self.mean[channel]) / self.std[channel]
    }

    /// One row of R, G, B.
    pub(super) fn rgb(&self, rows: [&[f32]; 3], out: [&mut [f32]; 3]) {
        for (channel, (row, out)) in rows.into_iter().zip(out).enumerate() {
            for (out, value) in out.iter_mut().zip(row) {
                *out = self.channel(channel, *value);
            }
        }
    }

    /// One row of Y, U, V.
    pub(super) fn yuv(&self, to: &YuvToRgb, rows: [&[f32]; 3], out: [&mut [f32]; 3]) {
        let width = out[0].len();
        let [luma, u, v] = rows.map(|row| &row[..width]);
        let [red, green, blue] = out.map(|row| &mut row[..width]);
        for x in 0..width {
            let (y, u, v) = (to.luma * (luma[x] - to.black), u[x] - 128.0, v[x] - 128.0);
            red[x] = self.channel(0, y + to.red_v * v);
            green[x] = self.channel(1, y - to.green_u * u - to.green_v * v);
            blue[x] = self.channel(2, y + to.blue_u * u);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_those_of_the_standards() {
        let of = |matrix, range| {
            let c = YuvToRgb::new(Colour {
                matrix,
                range,
                ..Colour::default()
            });
            [c.luma, c.red_v, c.green_u, c.green_v, c.blue_u]
        };
        let tables = [
            (
                Matrix::Bt601,
                Range::Limited,
                [1.164_383, 1.596_027, 0.391_762, 0.812_968, 2.017_232],
            ),
            (
                Matrix::Bt709,
                Range::Limited,
                [1.164_383, 1.792_741, 0.213_249, 0.532_909, 2.112_402],
            ),
            (
                Matrix::Bt601,
                Range::Full,
                [1.0, 1.402, 0.344_136, 0.714_136, 1.772],
            ),
            (
                Matrix::Bt709,
                Range::Full,
                [1.0, 1.5748, 0.187_324, 0.468_124, 1.8556],
            ),
        ];
        for (matrix, range, want) in tables {
            for (got, want) in of(matrix, range).into_iter().zip(want) {
                assert!(
                    (got - want).abs() < 2e-6,
                    "{matrix:?} {range:?}: {got} {want}"
                );
            }
        }
    }
}
