//! Blur close to Gaussian at a cost that does not depend on its width: two
//! running boxes each way, whose outermost samples count in part.

use super::raster::Canvas;

/// One pass of a box with fractional ends.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    /// Whole samples either side of the centre.
    radius: usize,
    /// Weight of the sample beyond them.
    end: f32,
    /// One over the total weight.
    norm: f32,
}

impl Window {
    /// The box of this variance.
    fn of_variance(variance: f32) -> Self {
        let mut radius = 0_u16;
        loop {
            let r = f32::from(radius);
            let (count, square) = (2.0 * r + 1.0, (r + 1.0) * (r + 1.0));
            let sum = r * (r + 1.0) * (2.0 * r + 1.0) / 3.0;
            let end = (variance * count - sum) / (2.0 * (square - variance));
            if end < 1.0 && square > variance {
                let end = end.max(0.0);
                return Self {
                    radius: usize::from(radius),
                    end,
                    norm: 1.0 / (count + 2.0 * end),
                };
            }
            radius += 1;
        }
    }
}

/// Blurs `canvas` with deviation `sigma` pixels (at most 100), edges repeated.
/// `scratch` has the same size and `sums` holds a row.
pub fn blur(canvas: &mut Canvas, scratch: &mut Canvas, sums: &mut [f32], sigma: f32) {
    let sigma = sigma.min(100.0);
    let window = Window::of_variance(sigma * sigma / 2.0);
    rows(canvas, scratch, window);
    rows(scratch, canvas, window);
    columns(canvas, scratch, sums, window);
    columns(scratch, canvas, sums, window);
}

fn rows(from: &Canvas, to: &mut Canvas, window: Window) {
    let stride = from.width * 3;
    for (input, output) in from
        .data
        .chunks_exact(stride)
        .zip(to.data.chunks_exact_mut(stride))
    {
        row(input, output, window);
    }
}

fn row(input: &[f32], output: &mut [f32], window: Window) {
    let input = input.as_chunks::<3>().0;
    let last = input.len() - 1;
    let Window { radius, end, norm } = window;
    let mut sum = [0.0; 3];
    for k in 0..=2 * radius {
        let sample = input[k.saturating_sub(radius).min(last)];
        (0..3).for_each(|c| sum[c] += sample[c]);
    }
    for (x, out) in output.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let before = input[x.saturating_sub(radius + 1)];
        let after = input[(x + radius + 1).min(last)];
        let leaving = input[x.saturating_sub(radius)];
        for c in 0..3 {
            out[c] = (sum[c] + end * (before[c] + after[c])) * norm;
            sum[c] += after[c] - leaving[c];
        }
    }
}

fn columns(from: &Canvas, to: &mut Canvas, sums: &mut [f32], window: Window) {
    let stride = from.width * 3;
    let last = from.height - 1;
    let line = |y: usize| &from.data[y * stride..(y + 1) * stride];
    let Window { radius, end, norm } = window;
    sums.fill(0.0);
    for k in 0..=2 * radius {
        let row = line(k.saturating_sub(radius).min(last));
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
    }
    for (y, out) in to.data.chunks_exact_mut(stride).enumerate() {
        let before = line(y.saturating_sub(radius + 1));
        let after = line((y + radius + 1).min(last));
        let leaving = line(y.saturating_sub(radius));
        for i in 0..stride {
            out[i] = (sums[i] + end * (before[i] + after[i])) * norm;
            sums[i] += after[i] - leaving[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blurs one bright pixel and measures the blot.
    fn blot(sigma: f32) -> (f32, f32, f32) {
        let mut canvas = Canvas::new(61, 61);
        canvas.data[(30 * 61 + 30) * 3] = 1.0;
        let mut scratch = canvas.clone();
        blur(&mut canvas, &mut scratch, &mut [0.0; 183], sigma);
        let (mut sum, mut across, mut down) = (0.0, 0.0, 0.0);
        for y in 0..61_u8 {
            for x in 0..61_u8 {
                let v = canvas.data[(usize::from(y) * 61 + usize::from(x)) * 3];
                sum += v;
                across += v * (f32::from(x) - 30.0).powi(2);
                down += v * (f32::from(y) - 30.0).powi(2);
            }
        }
        (sum, across, down)
    }

    #[test]
    fn blur_keeps_brightness_and_has_the_deviation_asked_for() {
        for sigma in [0.3_f32, 0.7, 1.0, 2.5, 5.0] {
            let (sum, across, down) = blot(sigma);
            assert!((sum - 1.0).abs() < 1e-3, "{sigma}: {sum}");
            for variance in [across, down] {
                assert!((variance.sqrt() - sigma).abs() < 0.02 * sigma, "{sigma}");
            }
        }
    }
}
