//! The two-layer LSTM: a committed state, and a step that only proposes.
//!
//! What a layer takes from the committed state, `W_hh h + b`, is the same for
//! every exit of a frame; it is computed once, before the frame's first exit.

use super::attention::Window;
use super::simd::{accumulate, accumulate_columns, affine, cell, tanh};
use super::sizes::Sizes;
use super::weights::{Weights, at};
use std::mem::swap;

/// A committed state: both layers, and the attention's window.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    hidden: [Vec<f32>; 2],
    cell: [Vec<f32>; 2],
    /// `W_hh h + b_ih + b_hh` of both layers, `[4H]`.
    recurrent: [Vec<f32>; 2],
    /// Whether `recurrent` belongs to `hidden`.
    prepared: bool,
    window: Window,
    /// Frames committed since it started afresh.
    age: usize,
}

/// What one exit would make of the state.
#[derive(Debug)]
pub(super) struct Proposal {
    hidden: [Vec<f32>; 2],
    cell: [Vec<f32>; 2],
    score: f32,
}

/// Scratch of a step.
#[derive(Debug)]
pub(super) struct Scratch {
    gates: Vec<f32>,
    attention: Vec<f32>,
}

impl Memory {
    /// Zeros and an empty window.
    pub(super) fn new(sizes: &Sizes) -> Self {
        let zeros = || [vec![0.0; sizes.hidden], vec![0.0; sizes.hidden]];
        Self {
            hidden: zeros(),
            cell: zeros(),
            recurrent: [vec![0.0; 4 * sizes.hidden], vec![0.0; 4 * sizes.hidden]],
            prepared: false,
            window: Window::new(sizes.window),
            age: 0,
        }
    }

    /// Back to zeros and an empty window.
    pub(super) fn clear(&mut self) {
        for state in self.hidden.iter_mut().chain(&mut self.cell) {
            state.fill(0.0);
        }
        self.prepared = false;
        self.window.clear();
        self.age = 0;
    }

    /// Computes the state's own part of the next step, once.
    pub(super) fn prepare(&mut self, weights: &Weights) {
        if self.prepared {
            return;
        }
        let values = weights.values();
        for (layer, lstm) in weights.lstm.iter().enumerate() {
            let out = &mut self.recurrent[layer];
            let weight = at(values, &lstm.weight_hh);
            affine(weight, at(values, &lstm.bias_hh), &self.hidden[layer], out);
            for (sum, bias) in out.iter_mut().zip(at(values, &lstm.bias_ih)) {
                *sum += bias;
            }
        }
        self.prepared = true;
    }

    /// Frames committed since the state started afresh.
    pub(super) fn age(&self) -> usize {
        self.age
    }

    /// `h2`, `[H]`.
    pub(super) fn top(&self) -> &[f32] {
        &self.hidden[1]
    }

    /// The attention's share of a proposal: `beta`.
    pub(super) fn share(&self, proposal: &Proposal) -> f32 {
        self.window.share(proposal.score)
    }

    /// Takes the proposal over; its buffers hold nothing of use afterwards.
    pub(super) fn commit(&mut self, proposal: &mut Proposal) {
        swap(&mut self.hidden, &mut proposal.hidden);
        swap(&mut self.cell, &mut proposal.cell);
        self.prepared = false;
        self.window.push(proposal.score);
        self.age += 1;
    }
}

impl Proposal {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let zeros = || [vec![0.0; sizes.hidden], vec![0.0; sizes.hidden]];
        Self {
            hidden: zeros(),
            cell: zeros(),
            score: 0.0,
        }
    }

    /// `h2'`, `[H]`.
    pub(super) fn top(&self) -> &[f32] {
        &self.hidden[1]
    }

    /// The step from `memory`, which must be prepared, on `input` `[D]`.
    pub(super) fn step(
        &mut self,
        weights: &Weights,
        memory: &Memory,
        input: &[f32],
        scratch: &mut Scratch,
    ) {
        let values = weights.values();
        let gates = &mut scratch.gates;
        for layer in 0..2 {
            let (below, above) = self.hidden.split_at_mut(layer);
            let input = below.first().map_or(input, Vec::as_slice);
            gates.copy_from_slice(&memory.recurrent[layer]);
            if layer == 0 {
                accumulate_columns(&weights.lstm_columns, input, gates);
            } else {
                let weight = at(values, &weights.lstm[layer].weight_ih);
                accumulate(weight, input, gates);
            }
            let (old, new) = (&memory.cell[layer], &mut self.cell[layer]);
            cell(gates, old, new, &mut above[0]);
        }
        let [inner, outer] = &weights.attention;
        inner.apply(values, &self.hidden[1], &mut scratch.attention);
        tanh(&mut scratch.attention);
        let mut score = [0.0];
        outer.apply(values, &scratch.attention, &mut score);
        self.score = score[0];
    }
}

impl Scratch {
    pub(super) fn new(sizes: &Sizes) -> Self {
        Self {
            gates: vec![0.0; 4 * sizes.hidden],
            attention: vec![0.0; sizes.attention],
        }
    }
}
