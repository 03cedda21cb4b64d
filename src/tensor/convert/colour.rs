//! YUV to RGB, and RGB to what the network takes.

use super::super::{Colour, Matrix, Range};
use super::Steps;
use super::kernels::Mix;
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

impl Mix {
    /// To what `input` asks for, from YUV of `colour` (RGB ignores it), in 8-bit
    /// `steps` if the tensor is of such.
    pub(super) fn new(input: &InputSpec, colour: Colour, steps: Steps) -> Self {
        let to = YuvToRgb::new(colour);
        Self {
            luma: (to.luma, -to.luma * to.black),
            red_v: to.red_v,
            green_u: to.green_u,
            green_v: to.green_v,
            blue_u: to.blue_u,
            mean: input.mean,
            std: input.std,
            scale: input.std.map(|std| 1.0 / std),
            shift: [0, 1, 2].map(|c| -input.mean[c] / input.std[c]),
            steps: (1.0 / steps.step, steps.zero),
        }
    }

    /// Normalised R, G, B of one pixel's components in 0..=255.
    pub(super) fn apply(&self, [a, b, c]: [f32; 3], is_rgb: bool) -> [f32; 3] {
        let rgb = if is_rgb {
            [a, b, c]
        } else {
            let (y, u, v) = (self.luma.0 * a + self.luma.1, b - 128.0, c - 128.0);
            [
                y + self.red_v * v,
                y - self.green_u * u - self.green_v * v,
                y + self.blue_u * u,
            ]
        };
        [0, 1, 2].map(|c| (rgb[c].clamp(0.0, 255.0) - self.mean[c]) / self.std[c])
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
