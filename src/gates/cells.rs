//! The 1x1 convolution of an exit's adapter: every cell of the pooled feature
//! through one matrix.
//!
//! Guarantees: sums equal to the plain loop's up to rounding, for any number of
//! cells and channels. Costs: the weights are read once, in the order in which they
//! lie, and the feature where it lies. On the heap, a copy of the weights.

use super::linear::{LANES, lanes};
use super::simd::prefetch_beyond;
use std::array::from_fn;

/// Outputs of a panel: two registers of AVX-512.
pub(super) const PANEL: usize = 2 * LANES;
/// Cells whose sums are kept in registers together: all of a 3 x 3 grid, where a
/// register holds enough of them.
const CELLS: usize = if cfg!(target_arch = "x86_64") { 9 } else { 3 };
/// Channels whose weights stay in the first-level cache for all cells: 16 kB.
const STRETCH: usize = 128;
/// Elements between the weights in use and those being fetched.
const AHEAD: usize = 12 * PANEL;

/// `[outputs, channels]` as panels `[outputs / PANEL, channels, PANEL]`, filled up
/// with zeros.
pub(super) fn panels(weight: &[f32], channels: usize) -> Vec<f32> {
    let outputs = weight.len() / channels.max(1);
    let mut panels = vec![0.0; outputs.next_multiple_of(PANEL) * channels];
    for (output, row) in weight.chunks_exact(channels.max(1)).enumerate() {
        let start = output / PANEL * PANEL * channels + output % PANEL;
        for (channel, value) in row.iter().enumerate() {
            panels[start + channel * PANEL] = *value;
        }
    }
    panels
}

/// `sums[cell, output] += sum over c of panels[output, c] * pooled[c, cell]`, with
/// `sums` `[cells, outputs]`, outputs a multiple of [`PANEL`].
#[inline(always)]
pub(super) fn accumulate_cells_body<const FMA: bool>(
    panels: &[f32],
    pooled: &[f32],
    cells: usize,
    sums: &mut [f32],
) {
    let outputs = sums.len() / cells;
    let channels = pooled.len() / cells;
    for (index, panel) in panels.chunks_exact(channels * PANEL).enumerate() {
        let sums = &mut sums[index * PANEL..];
        let stretches = panel.as_chunks::<LANES>().0.chunks(2 * STRETCH);
        for (weights, input) in stretches.zip(pooled.chunks(STRETCH * cells)) {
            let mut cell = 0;
            while cell + CELLS <= cells {
                let sums = &mut sums[cell * outputs..];
                tile::<FMA, CELLS>(weights, &input[cell..], cells, sums, outputs);
                cell += CELLS;
            }
            while cell < cells {
                let sums = &mut sums[cell * outputs..];
                tile::<FMA, 1>(weights, &input[cell..], cells, sums, outputs);
                cell += 1;
            }
        }
    }
}

/// A panel's stretch against `N` cells, all sums in registers; `cells` separates
/// the channels of the input and `outputs` the cells of `sums`.
#[inline(always)]
fn tile<const FMA: bool, const N: usize>(
    weights: &[[f32; LANES]],
    input: &[f32],
    cells: usize,
    sums: &mut [f32],
    outputs: usize,
) {
    let mut low: [[f32; LANES]; N] = from_fn(|j| from_fn(|l| sums[j * outputs + l]));
    let mut high: [[f32; LANES]; N] = from_fn(|j| from_fn(|l| sums[j * outputs + LANES + l]));
    for (row, values) in weights.chunks_exact(2).zip(input.chunks(cells)) {
        let values: [f32; N] = from_fn(|j| values[j]);
        let (first, second) = (row[0], row[1]);
        prefetch_beyond(row.as_flattened(), AHEAD);
        for j in 0..N {
            low[j] = lanes::<FMA>(&first, &[values[j]; LANES], low[j]);
        }
        for j in 0..N {
            high[j] = lanes::<FMA>(&second, &[values[j]; LANES], high[j]);
        }
    }
    for j in 0..N {
        sums[j * outputs..][..LANES].copy_from_slice(&low[j]);
        sums[j * outputs + LANES..][..LANES].copy_from_slice(&high[j]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_shape_convolves_as_the_plain_loop_does(
            outputs in 1usize..70, channels in 1usize..300, cells in 1usize..11, seed in 0u32..1000,
        ) {
            let value = |i: usize| {
                let bits = (u32::try_from(i).unwrap() + seed).wrapping_mul(2_654_435_761) >> 16;
                f32::from(u16::try_from(bits & 0xff).unwrap()) / 128.0 - 1.0
            };
            let weight: Vec<f32> = (0..outputs * channels).map(value).collect();
            let pooled: Vec<f32> = (0..channels * cells).map(|i| value(i + 7919)).collect();
            let panels = panels(&weight, channels);
            let padded = outputs.next_multiple_of(PANEL);
            for convolve in [
                simd::accumulate_cells,
                accumulate_cells_body::<false>,
                accumulate_cells_body::<true>,
            ] {
                let mut sums = vec![0.5; padded * cells];
                convolve(&panels, &pooled, cells, &mut sums);
                for output in 0..outputs {
                    for cell in 0..cells {
                        let want = (0..channels).fold(0.5, |sum, c| {
                            sum + f64::from(weight[output * channels + c])
                                * f64::from(pooled[c * cells + cell])
                        });
                        let got = f64::from(sums[cell * padded + output]);
                        prop_assert!((got - want).abs() < 1e-3, "{got} {want}");
                    }
                }
            }
        }
    }
}
