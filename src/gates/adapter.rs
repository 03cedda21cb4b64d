//! An exit's adapter: pooled feature to a normalised one, and its mix with
//! those of the shallower exits of the same frame.

use super::cells::PANEL;
use super::linear::{layer_norm, multiply_add, relu};
use super::simd::{accumulate_cells, accumulate_columns};
use super::sizes::Sizes;
use super::weights::{ExitHead, at};

/// Scratch of the adapters, and the features of the current frame.
#[derive(Debug)]
pub(super) struct Adapter {
    cells: usize,
    feature: usize,
    /// Sums of the convolution, `[cells, M]`, M filled up to whole panels.
    by_cell: Vec<f32>,
    /// After the convolution and its ReLU, `[M, cells]`.
    reduced: Vec<f32>,
    /// `v_e` of every exit, `[E, D]`.
    adapted: Vec<f32>,
    /// `u_e` of the last exit evaluated, `[D]`.
    mixed: Vec<f32>,
}

impl Adapter {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let panelled = sizes.adapter_channels.next_multiple_of(PANEL);
        Self {
            cells: sizes.cells,
            feature: sizes.feature,
            by_cell: vec![0.0; panelled * sizes.cells],
            reduced: vec![0.0; sizes.adapter_channels * sizes.cells],
            adapted: vec![0.0; sizes.channels.len() * sizes.feature],
            mixed: vec![0.0; sizes.feature],
        }
    }

    /// `v_exit = LayerNorm(fc(relu(conv(pooled))))`, `[D]`.
    pub(super) fn adapt(
        &mut self,
        exit: usize,
        head: &ExitHead,
        values: &[f32],
        pooled: &[f32],
    ) -> &[f32] {
        let biases = at(values, &head.conv.bias);
        let outputs = self.by_cell.len() / self.cells;
        for sums in self.by_cell.chunks_exact_mut(outputs) {
            sums[..biases.len()].copy_from_slice(biases);
        }
        accumulate_cells(&head.conv_panels, pooled, self.cells, &mut self.by_cell);
        for (cell, sums) in self.by_cell.chunks_exact(outputs).enumerate() {
            let column = self.reduced[cell..].iter_mut().step_by(self.cells);
            for (out, sum) in column.zip(sums) {
                *out = *sum;
            }
        }
        relu(&mut self.reduced);
        let start = exit * self.feature;
        let adapted = &mut self.adapted[start..start + self.feature];
        adapted.copy_from_slice(at(values, &head.fc.bias));
        accumulate_columns(&head.fc_columns, &self.reduced, adapted);
        let (scale, shift) = (at(values, &head.norm.weight), at(values, &head.norm.bias));
        layer_norm(adapted, scale, shift);
        adapted
    }

    /// `u = relu(sum of weights[i] * v_i)` over the exits adapted so far.
    pub(super) fn mix(&mut self, weights: &[f32]) {
        self.mixed.fill(0.0);
        for (weight, adapted) in weights.iter().zip(self.adapted.chunks_exact(self.feature)) {
            for (sum, value) in self.mixed.iter_mut().zip(adapted) {
                *sum = multiply_add::<false>(*weight, *value, *sum);
            }
        }
        relu(&mut self.mixed);
    }

    /// `u` of the last exit mixed, `[D]`.
    pub(super) fn mixed(&self) -> &[f32] {
        &self.mixed
    }

    /// `v_0` of the current frame, `[D]`.
    pub(super) fn first(&self) -> &[f32] {
        &self.adapted[..self.feature]
    }
}
